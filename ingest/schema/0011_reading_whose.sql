-- no-transaction
-- Weights that may be somebody else's (Suspicion.WEIGHT_OFF_MEDIAN) and that nobody has confirmed,
-- rejected or moved: a few hundred of millions.
create index concurrently if not exists reading_whose on reading (patient_id, measured_at)
    where suspicion & 32 <> 0 and suspicion & 1536 = 0;
