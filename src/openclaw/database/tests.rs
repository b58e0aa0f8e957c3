//! What reading and compaction promise, tried with a stand-in for Node.
