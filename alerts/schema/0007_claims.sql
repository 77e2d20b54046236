-- What is to be routed and looked at is found in the order in which it is taken: red ones first.

drop index alert_untold;
create index alert_untold on alert (level desc, alert_id) where is_untold and state <> 'closed';
drop index alert_unlooked;
create index alert_unlooked on alert (level desc, alert_id) where is_unlooked and state <> 'closed';
drop index alert_course_due;
create index alert_course_due on alert_course (level, due_at) where due_at is not null;
