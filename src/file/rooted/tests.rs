//! Writes below a root, and who attacks them.
