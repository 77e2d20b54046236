"""The simulator's command line: demo, home, play, radio."""

import signal
import sys

from cyclopts import App

app = App(name="simulator", help="Virtual devices, invented people, and the demo.")
# Each command's libraries are loaded when it is called.
app.command("simulator.demo.command:demo", name="demo")
app.command("simulator.demo.household:home", name="home")
app.command("simulator.play:play", name="play")
app.command("simulator.room:radio", name="radio")


def main() -> None:
    """Run the command that the command line names."""
    try:
        app()
    except KeyboardInterrupt:  # while the libraries were being loaded, before anybody listens
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
