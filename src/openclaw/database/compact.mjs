// Read by Node on standard input: rewrites a database of OpenClaw's so that nothing of what was
// deleted is left in it. Arguments: its path, and the path for a copy that is gone afterwards.
//
// Answer: one line of JSON, {"done":true} or {"error":"WORD"}. No text of an error: SQLite's can quote.
import { existsSync, rmSync } from "node:fs";

// SQLite's own numbers, without their extension.
const WORDS = { 5: "busy", 6: "busy", 8: "open", 11: "corrupt", 13: "full", 14: "open", 26: "corrupt" };

// The copy is private, as the database is.
process.umask(0o077);
const [path, copy] = process.argv.slice(2);

function compact(database) {
  const all = (sql) => database.prepare(sql).all();
  const isSound = () => {
    const rows = all("PRAGMA integrity_check(1)");
    return rows.length === 1 && rows[0].integrity_check === "ok";
  };
  // Nobody else may have it open, not even idle: said before its first use, this takes the lock on the
  // file itself and keeps it.
  database.exec("PRAGMA busy_timeout = 0; PRAGMA trusted_schema = OFF; PRAGMA locking_mode = EXCLUSIVE");
  database.exec("BEGIN EXCLUSIVE; COMMIT");
  if (!isSound()) return { error: "corrupt" };
  // Sound: so a copy that is there is one of a run that was killed.
  rmSync(copy, { force: true });
  try {
    database.prepare("VACUUM INTO ?").run(copy);
    database.exec("PRAGMA secure_delete = ON; VACUUM");
    if (all("PRAGMA wal_checkpoint(TRUNCATE)")[0].busy !== 0) return { error: "busy" };
    if (!isSound()) return { error: "damaged" };
  } catch (error) {
    // What failed was taken back: the copy is not needed.
    rmSync(copy, { force: true });
    throw error;
  }
  rmSync(copy, { force: true });
  return { done: true };
}

let answer = { error: "other" };
try {
  const { DatabaseSync } = await import("node:sqlite").catch(() => ({}));
  if (!DatabaseSync) {
    answer = { error: "node" };
  } else if (existsSync(path)) {
    const database = new DatabaseSync(path);
    try {
      answer = compact(database);
    } finally {
      database.close();
    }
  }
} catch (error) {
  answer = { error: WORDS[(error?.errcode ?? 0) & 255] ?? "other" };
}
process.stdout.write(`${JSON.stringify(answer)}\n`);
