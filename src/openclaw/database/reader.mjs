// Read by Node on standard input: looks into OpenClaw's databases and tells what their credential
// stores hold. Arguments: for each database its kind (agent, shared) and its path.
//
// Answer: one line of JSON, {"files":[{"schema":23,"rows":[BYTES,...]}|{"error":"WORD"}]}, then the
// rows' own bytes one after the other, as many as the line says. Nothing else, and no text of an
// error: SQLite's can quote what it read. `rows` is null where there is no such table.
import { existsSync, statSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

// The most bytes of one database's rows, as everywhere that clawkeep reads OpenClaw's files.
const MOST = 8 * 1024 * 1024;

const STORES = {
  agent: { table: "auth_profile_store", column: "store_json", where: "" },
  shared: {
    table: "config_machine_state",
    column: "value_json",
    where: "WHERE state_key = 'authProfiles.store'",
  },
};

// A database without a log beside it is whole in its one file. Opened as such it is left alone:
// even a read-only connection makes the two files of the log, and they stay.
const isWhole = (path) => !existsSync(`${path}-wal`) && !existsSync(`${path}-journal`);
const stamp = (path) => {
  const { size, mtimeNs, ino } = statSync(path, { bigint: true });
  return `${size} ${mtimeNs} ${ino}`;
};

function look(DatabaseSync, kind, path) {
  if (isWhole(path)) {
    const before = stamp(path);
    const url = pathToFileURL(path);
    url.search = "immutable=1";
    let found;
    try {
      found = read(DatabaseSync, kind, url);
    } catch {
      // Whoever changed it under our eyes is waited for below; what is broken is so there too.
    }
    if (found && isWhole(path) && stamp(path) === before) return found;
  }
  return read(DatabaseSync, kind, path);
}

function read(DatabaseSync, kind, at) {
  const { table, column, where } = STORES[kind];
  const database = new DatabaseSync(at, { readOnly: true });
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA trusted_schema = OFF; BEGIN");
    const one = (sql) => Object.values(database.prepare(sql).get())[0];
    const schema = one("PRAGMA user_version");
    const kinds = database.prepare("SELECT type FROM sqlite_schema WHERE name = ?").all(table);
    if (kinds.length === 0) return { schema, rows: null };
    if (kinds.length !== 1 || kinds[0].type !== "table") return { error: "layout" };
    if (one(`SELECT total(length(CAST(${column} AS BLOB))) FROM ${table} ${where}`) > MOST) {
      return { error: "large" };
    }
    const rows = database.prepare(`SELECT CAST(${column} AS BLOB) AS bytes FROM ${table} ${where}`);
    return { schema, rows: rows.all().map((row) => row.bytes ?? new Uint8Array()) };
  } finally {
    database.close();
  }
}

// SQLite's own numbers, without their extension.
const WORDS = { 1: "layout", 5: "busy", 6: "busy", 8: "busy", 11: "corrupt", 14: "open", 26: "corrupt" };

function write(bytes) {
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

let sqlite;
try {
  sqlite = await import("node:sqlite");
} catch {
  // This Node is too old for it; said below, for each database.
}
const files = [];
const blobs = [];
const named = process.argv.slice(2);
for (let at = 0; at < named.length; at += 2) {
  let found = { error: "node" };
  try {
    if (sqlite) found = look(sqlite.DatabaseSync, named[at], named[at + 1]);
  } catch (error) {
    found = { error: WORDS[(error?.errcode ?? 0) & 255] ?? "other" };
  }
  const { error, schema, rows } = found;
  files.push(error ? { error } : { schema, rows: rows && rows.map((row) => row.length) });
  blobs.push(...(rows ?? []));
}
write(Buffer.from(`${JSON.stringify({ files })}\n`));
blobs.forEach(write);
