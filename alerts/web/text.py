"""What people write into a form's field, as it is kept."""


def one_line(text: str) -> str:
    """Return *text* on one line, without what the database or a page would refuse."""
    return " ".join("".join(filter(str.isprintable, line)) for line in text.splitlines()).strip()
