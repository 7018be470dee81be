//! Tests of the program: what it prints, what it writes, and what becomes of it on a bad day.

mod agreement;
mod files;

mod cli;
mod commands;
mod errors;
mod sweeps;
