// Read by Node on standard input: looks into OpenClaw's databases and tells what their credential
// stores hold. Arguments: for each database its kind (agent, shared) and its path.
//
// Answer: one line of JSON, {"files":[{"schema":23,"rows":[BYTES,...],"own":BYTES}|{"error":"WORD"}]},
// then for each database its rows' own bytes and those of `own`, as many as the line says. Nothing
// else, and no text of an error: SQLite's can quote what it read. `rows` is null where there is no such
// table; `own` is null, or what stands in OpenClaw's own store of secrets: [[NAME,VALUE,REMOVED],...].
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

// What `openclaw secrets store` keeps, 2026.8.2 and later.
const OWN = "secret_store_entries";

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
    const has = (name) => {
      const kinds = database.prepare("SELECT type FROM sqlite_schema WHERE name = ?").all(name);
      if (kinds.length > 1 || kinds.some(({ type }) => type !== "table")) throw { errcode: 1 };
      return kinds.length === 1;
    };
    const size = (what, from) => one(`SELECT total(length(CAST(${what} AS BLOB))) FROM ${from}`);
    let rows = null;
    if (has(table)) {
      if (size(column, `${table} ${where}`) > MOST) return { error: "large" };
      const sql = `SELECT CAST(${column} AS BLOB) AS bytes FROM ${table} ${where}`;
      rows = database.prepare(sql).all().map(({ bytes }) => bytes ?? new Uint8Array());
    }
    let own = null;
    if (kind === "shared" && has(OWN)) {
      if (size("value", OWN) > MOST) return { error: "large" };
      const sql = `SELECT name, value, deleted_at_ms AS removed FROM ${OWN} WHERE kind = 'secret'`;
      const entries = database.prepare(sql).all();
      own = Buffer.from(
        JSON.stringify(entries.map(({ name, value, removed }) => [name, value, removed !== null])),
      );
    }
    return { schema, rows, own };
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
  const { error, schema, rows, own } = found;
  const lengths = rows && rows.map((row) => row.length);
  files.push(error ? { error } : { schema, rows: lengths, own: own && own.length });
  blobs.push(...(rows ?? []), ...(own ? [own] : []));
}
write(Buffer.from(`${JSON.stringify({ files })}\n`));
blobs.forEach(write);
