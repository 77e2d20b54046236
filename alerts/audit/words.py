"""What stands in the access log, in Swedish: for the patient who asks who has looked at her."""

from typing import Final

from alerts.access import Ground
from alerts.audit.entry import DENIED, Action
from alerts.audit.look import Look

# What was done, to the patient who reads it.
ACTIONS: Final = {
    Action.WORKLIST_SEEN: "såg dig i sin lista",
    Action.PATIENT_SEEN: "öppnade din sida",
    Action.OWN_PAGE_SEEN: "öppnade Min sida",
    Action.RELATIVE_PAGE_SEEN: "läste det du delar",
    Action.ALERT_ACKNOWLEDGED: "tog ett larm",
    Action.ALERT_CLOSED: "avslutade ett larm",
    Action.ALERT_SNOOZED: "lät ett larm vila",
    Action.CONSENT_GIVEN: "noterade ditt samtycke",
    Action.CONSENT_REVOKED: "noterade att du tog tillbaka ett samtycke",
    Action.BLOCK_SET: "spärrade en enhet",
    Action.BLOCK_LIFTED: "hävde en spärr",
    Action.EMERGENCY_OPENED: "öppnade dina uppgifter i en nödsituation",
    Action.EMERGENCY_MISSED: "skrev ett nummer som ingen har här",
    Action.EMERGENCY_REVIEWED: "granskade en nödåtkomst",
    Action.HANDOVER_OFFERED: "erbjöd en annan enhet att ta över din vård",
    Action.HANDOVER_ACCEPTED: "tog över din vård",
    Action.HANDOVER_DECLINED: "tackade nej till att ta över din vård",
    Action.HANDOVER_WITHDRAWN: "tog tillbaka erbjudandet till en annan enhet",
    Action.SUBSTITUTES_NAMED: "bestämde vem som ersätter din vårdkontakt",
    Action.PLAN_PROPOSED: "föreslog en plan",
    Action.PLAN_PREVIEWED: "såg på dina värden för en föreslagen plan",
    Action.PLAN_QUESTIONED: "frågade om en föreslagen plan",
    Action.PLAN_AGREED: "skrev in en plan som ni kom överens om",
    Action.PLAN_DECLINED: "skrev in ett nej till en plan",
    Action.PLAN_WITHDRAWN: "tog tillbaka en föreslagen plan",
    Action.PLAN_ENDED: "avslutade din plan",
    Action.TEMPLATE_APPROVED: "godkände en mall för planer",
    Action.TEMPLATE_RETIRED: "tog en mall för planer ur bruk",
    Action.PAUSE_BEGUN: "pausade dina larm",
    Action.PAUSE_ENDED: "avslutade pausen av dina larm",
    Action.DEVICE_LENT: "lånade ut en mätare",
    Action.DEVICE_RETURNED: "skrev in att en mätare är tillbaka",
    Action.READING_SEEN: "såg på en mätning",
    Action.READING_CONFIRMED: "sade att en mätning stämmer",
    Action.READING_REJECTED: "sade att en mätning inte ska räknas",
    Action.READING_DENIED: "sade att en mätning är någon annans",
    Action.READING_MOVED: "flyttade en mätning till den som den hör till",
    Action.EXPORTED: "tog ut allt som finns om dig",
    Action.ERASED: "raderade det som inte måste finnas kvar",
    Action.MESSAGES_SEEN: "läste era meddelanden",
    Action.MESSAGE_WRITTEN: "skrev ett meddelande",
    Action.MESSAGE_SEEN_TO: "tog hand om ditt meddelande",
    Action.TASK_TAKEN: "tog på sig en uppgift",
    Action.TASK_ENDED: "gjorde klart en uppgift",
    Action.LOG_EXTRACTED: "tog ut den här listan",
    Action.LOG_SAMPLED: "tog fram rader ur loggen för att granska dem",
    Action.LOG_REVIEWED: "granskade loggen",
    Action.LOG_REMOVED: "tog bort det i loggen som är för gammalt",
    Action.ACCOUNT_CODE_RESET: "tog bort dina engångskoder",
    Action.ACCOUNT_LINKED: "kopplade din inloggning till din e-legitimation",
    Action.ACCOUNT_UNLINKED: "tog bort kopplingen till din e-legitimation",
    Action.ACCOUNT_LOGGED_OUT: "loggade ut dig överallt",
    Action.ACCOUNT_ENDED: "avslutade ditt konto",
    Action.ACCOUNT_REOPENED: "öppnade ditt konto igen",
    Action.RECOVERY_CODE_USED: "använde en reservkod till ditt konto",
    Action.RECOVERY_CODE_TOLD: "skickade besked om att en reservkod användes",
}
# Why it was allowed.
GROUNDS: Final = {
    Ground.SELF: "du själv",
    Ground.CONTACT: "din fasta vårdkontakt",
    Ground.TEAM: "ditt vårdteam",
    Ground.SUBSTITUTE: "ersatte din vårdkontakt",
    Ground.ROUTED: "fick ditt larm",
    Ground.DUTY: "hade jour",
    Ground.QUEUE: "din enhet",
    Ground.RELATION: "deltar i din vård",
    Ground.EMERGENCY: "nödsituation",
    Ground.SHARED: "delat med enheten",
    Ground.RELATIVE: "du delar med personen",
}
_OTHERS: Final = {
    DENIED: "nekades",
    "reviewer": "granskare",
    "coordinator": "samordnare",
    "herself": "för sig själv",
    "technician": "tekniker",
    "operator": "driften",
}


def done(action: str) -> str:
    """Return what was done; an action of a newer version by its own name."""
    return ACTIONS[Action(action)] if action in list(Action) else action


def who(look: Look) -> str:
    """Return who it was, to the patient; a name that is known no more by its number."""
    if look.actor.startswith("patient:"):
        return "Du"
    return "Driften" if look.actor == "system" else look.who


def why(ground: str) -> str:
    """Return why it was allowed, or that it was not."""
    return GROUNDS[Ground(ground)] if ground in list(Ground) else _OTHERS.get(ground, ground)
