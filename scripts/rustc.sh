#!/bin/sh
# What cargo takes for the compiler of our crates during `make test`: clippy, by which every warning is an error.
# Test programs, and the unit tests' copy of the library among them, are not optimised: it would take a minute and a
# half more, and the library that they call is the optimised one. That one has been linted in this copy.
case " $* " in
*" --test "*) exec clippy-driver "$@" -C opt-level=0 ;;
*" --crate-name curvature_runner "*" --crate-type lib "*) exec "$@" -Dwarnings ;;
*) exec clippy-driver "$@" ;;
esac
