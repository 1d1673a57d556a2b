//! The container engine; the only user of bollard.
