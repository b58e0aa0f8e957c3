//! Undo bundles: round trips, hostile files, a change of identity.
