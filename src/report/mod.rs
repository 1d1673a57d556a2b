//! Makes text of events: one file per output format.
