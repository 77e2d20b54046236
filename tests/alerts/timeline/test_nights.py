"""Outside hours: who is on duty, the unit, or the morning; nobody is woken who could not act."""

from datetime import date, timedelta

from tests.alerts.timeline.story import RED, YELLOW, Story

SATURDAY = date(2038, 2, 6)
MIDSUMMERS_EVE = date(2038, 6, 25)  # a Friday; the unit opens on Monday
CLOCKS_GO_FORWARD = date(2038, 3, 28)
CLOCKS_GO_BACK = date(2038, 10, 31)


async def test_yellow_at_night_waits_for_the_morning(story: Story) -> None:
    story.stands_in("bo")
    story.unit_phone()
    await story.at("23:10")
    await story.measures("marta", YELLOW)
    await story.at("11:00", day=date(2038, 2, 2))
    story.expects("08:00 anna: opened")


async def test_red_at_night_goes_to_who_is_on_duty_and_in_the_morning_to_the_contact(
    story: Story,
) -> None:
    story.stands_in("bo")
    story.on_duty("dan", story.moment("16:00"), story.moment("08:00", days=1))
    story.unit_phone()
    await story.at("06:45", day=date(2038, 2, 2))
    await story.measures("marta", RED)
    story.expects("06:45 dan: opened")
    await story.at("07:24")
    story.expects("06:55 enheten: not_answered")
    await story.at("07:59")
    story.expects(
        "07:25 dan: not_answered",
        "07:25 enheten: not_answered",
        "07:55 dan: repeated",
        "07:55 enheten: repeated",
    )
    await story.at("08:24")
    story.expects("08:00 anna: rerouted", "08:00 bo: repeated")


async def test_red_on_midsummers_night_with_nobody_on_duty_is_the_units_till_it_opens(
    story: Story,
) -> None:
    story.stands_in("bo")
    await story.at("23:30", day=MIDSUMMERS_EVE)
    await story.measures("marta", RED)
    story.expects()
    assert story.log("nobody_to_notify")[:2] == [
        "nobody_to_notify no_channel",
        "nobody_to_notify not_working",
    ]
    story.unit_phone()
    await story.at("00:40", day=date(2038, 6, 26))
    story.expects("00:00 enheten: not_reached", "00:30 enheten: repeated")


async def test_yellow_on_midsummers_eve_waits_till_monday(story: Story) -> None:
    await story.at("09:00", day=MIDSUMMERS_EVE)
    await story.measures("marta", YELLOW)
    await story.at("07:59", day=date(2038, 6, 28))
    story.expects()
    await story.at("08:00")
    story.expects("08:00 anna: opened")


async def test_the_night_the_clocks_go_forward_ten_minutes_are_ten_minutes(story: Story) -> None:
    story.on_duty("dan", story.moment("16:00", days=50), story.moment("08:00", days=60))
    story.unit_phone()
    await story.at("01:55", day=CLOCKS_GO_FORWARD)
    await story.measures("marta", RED)
    story.expects("01:55 dan: opened")
    await story.at("03:04")
    story.expects()
    await story.at("03:10")
    story.expects("03:05 enheten: not_answered")


async def test_the_night_the_clocks_go_back_nobody_is_told_twice_or_an_hour_late(
    story: Story,
) -> None:
    story.on_duty("dan", story.moment("16:00", days=260), story.moment("08:00", days=280))
    story.unit_phone()
    await story.at("02:55", day=CLOCKS_GO_BACK)
    await story.measures("marta", RED)
    story.expects("02:55 dan: opened")
    await story.at("02:20", fold=1)
    story.expects("02:05 enheten: not_answered")


async def test_a_unit_open_day_and_night_hears_of_yellow_in_the_morning(story: Story) -> None:
    story.unit_phone()
    story.world.connection.execute("delete from unit_hours")
    story.world.connection.execute(
        "insert into unit_hours (unit_id, weekday, opens, closes, on_holidays) "
        "select unit_id, day, '00:00', '24:00', true from unit, generate_series(1, 7) day"
    )
    await story.at("09:00")
    await story.measures("marta", YELLOW)
    await story.at("12:00", day=story.day + timedelta(days=1))
    story.expects(
        "09:00 anna: opened",
        "13:05 enheten: not_answered",
        "07:00 anna: not_answered",
        "07:05 enheten: not_answered",
    )


async def test_a_unit_that_closes_for_weeks_hears_of_yellow_after_one(story: Story) -> None:
    story.unit_phone()
    for days in range(1, 36):
        story.world.connection.execute(
            "insert into unit_day (unit_id, day) select unit_id, %s from unit",
            (story.day + timedelta(days=days),),
        )
    await story.at("15:00")
    await story.measures("marta", YELLOW)
    story.expects("15:00 anna: opened")
    await story.at("20:00", day=story.day + timedelta(days=7))
    story.expects("19:05 enheten: not_answered")  # four hours and seven days after Anna, gathered
    await story.at("20:00", day=story.day + timedelta(days=7))
    story.expects("19:05 enheten: not_answered")
    await story.at("20:00", day=story.day + timedelta(days=7))
    story.expects("19:05 enheten: repeated")


async def test_all_who_are_on_duty_are_told_of_red_at_once(story: Story) -> None:
    story.on_duty("bo", story.moment("17:00"), story.moment("07:00", days=1))
    story.on_duty("cia", story.moment("17:00"), story.moment("07:00", days=1))
    await story.at("22:00")
    await story.measures("marta", RED)
    story.expects("22:00 bo: opened", "22:00 cia: opened")
    assert story.world.one(
        "select r.detail -> 'told' = n.detail -> 'to' from alert_log r, alert_log n "
        "where r.event = 'routed' and n.event = 'notified'"
    )
    await story.takes("cia")
    story.expects("22:00 bo: taken")


async def test_who_is_left_of_those_on_duty_is_told_that_it_is_hers(story: Story) -> None:
    story.on_duty("bo", story.moment("17:00"), story.moment("22:05"))
    story.on_duty("cia", story.moment("17:00"), story.moment("07:00", days=1))
    story.on_duty("dan", story.moment("17:00"), story.moment("07:00", days=1))
    await story.at("22:00")
    await story.measures("marta", RED)
    story.expects("22:00 bo: opened", "22:00 cia: opened", "22:00 dan: opened")
    await story.at("22:06")
    story.expects("22:05 cia: rerouted")
    await story.takes("cia")
    story.expects("22:06 bo: taken", "22:06 dan: taken")
