//! Undoing on real files, step by step.
