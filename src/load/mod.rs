//! Sends bounded load and counts every failure: the proof behind `drain-test` and the end-to-end tests.
