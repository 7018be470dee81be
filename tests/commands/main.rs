//! The subcommands, as a user sees them.

mod schema;
