//! Carries a plan out: observe, execute, perform, unwind.
