//! What a card is asked to do, and what it comes to.

mod card;
mod counts;
mod probes;
mod runs;
mod table;
