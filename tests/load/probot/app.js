// The other receiver of `make load`: a Probot app that stores every opened issue.
//
// It makes the promise that ours makes: whatever was answered with 2xx is committed, and a delivery
// that comes twice is stored once. It keeps its queries as short as they can be: with SQLite
// prepared statements in one transaction, with PostgreSQL one prepared statement, which is a
// transaction by itself and a single round trip.

import Database from "better-sqlite3";
import pg from "pg";

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS delivery (
    guid TEXT PRIMARY KEY,
    received_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
  );
  CREATE TABLE IF NOT EXISTS issue (
    repository_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    author TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    opened_at TEXT NOT NULL,
    PRIMARY KEY (repository_id, number)
  );
`;

function sqlite(path) {
  const database = new Database(path, { timeout: 5000 });
  database.pragma("journal_mode = WAL");
  // As ours: a commit outlasts a power cut.
  database.pragma("synchronous = FULL");
  database.exec(SCHEMA);
  const note = database.prepare(
    "INSERT INTO delivery (guid) VALUES (?) ON CONFLICT DO NOTHING",
  );
  const keep = database.prepare(
    `INSERT INTO issue (repository_id, number, author, title, body, opened_at)
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
  );
  return database.transaction((guid, ...issue) => {
    if (note.run(guid).changes) keep.run(...issue);
  }).immediate;
}

async function postgres(connectionString) {
  const pool = new pg.Pool({ connectionString });
  await pool.query(SCHEMA);
  return (...values) =>
    pool.query({
      name: "store",
      text: `
        WITH fresh AS (
          INSERT INTO delivery (guid) VALUES ($1) ON CONFLICT DO NOTHING RETURNING guid
        )
        INSERT INTO issue (repository_id, number, author, title, body, opened_at)
        SELECT $2, $3, $4, $5, $6, $7 FROM fresh
        ON CONFLICT DO NOTHING`,
      values,
    });
}

export default async (app) => {
  const url = process.env.DATABASE_URL;
  const store = url.startsWith("postgres") ? await postgres(url) : sqlite(url);
  app.on("issues.opened", async ({ id, payload: { issue, repository } }) => {
    await store(
      id,
      repository.id,
      issue.number,
      issue.user.login,
      issue.title,
      issue.body ?? "",
      issue.created_at,
    );
  });
};
