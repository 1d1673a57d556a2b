//! Arguments, wiring, one small file per command, exit codes.
