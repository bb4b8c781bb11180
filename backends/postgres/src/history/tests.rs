use ecs_scheduler_core::TickOutcome;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::*;
use crate::open::PostgresOptions;
use crate::store::PostgresStore;

#[path = "../../tests/it/server.rs"]
mod server;

/// Rows of a page.
const PAGE: usize = 20;
/// Rows of the journal: many of a busy job, and few of a rare outcome, of a rare state and with a firing of the busy job.
const ROWS: &str = "INSERT INTO ecss_journal \
    SELECT n, CASE WHEN n % 2 = 0 THEN 'busy' ELSE 'job-' || n % 500 END, '00000000-0000-4000-8000-000000000000'::uuid, 0, \
    CASE WHEN n = 7 THEN 'launch_failed' WHEN n % 50 = 1 OR n % 5000 = 0 THEN 'launched' ELSE 'idle' END, n, n, n, n, 1, '{}', \
    CASE WHEN n % 50 = 1 OR n % 5000 = 0 THEN 'firing-' || n END, \
    CASE WHEN n = 5000 THEN 'refused' WHEN n % 50 = 1 OR n % 5000 = 0 THEN 'finished' END, NULL, '{}' \
    FROM generate_series(1, 100000) AS n";

/// Returns how many rows of the journal a statement reads in all, those that it drops included. `mode` is how the server plans it: with or
/// without its parameters.
async fn rows_read(client: &Client, mode: &str, sql: &str, params: &str) -> usize {
    let prepare = format!("SET plan_cache_mode = force_{mode}_plan; DEALLOCATE ALL; PREPARE one AS {sql}");
    client.batch_execute(&prepare).await.expect("the statement is right");
    let explain = format!("EXPLAIN (ANALYZE, TIMING off, COSTS off) EXECUTE one({params})");
    let answer = client.simple_query(&explain).await.expect("the parameters are right");
    let lines = answer
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None });
    let (mut count, mut loops) = (0, 0);
    for line in lines {
        if let Some(repeats) = number_after(line, " loops=") {
            loops = if line.contains(" on ecss_journal") { repeats } else { 0 };
        }
        let rows =
            ["actual rows=", "Rows Removed by Filter: "].map(|name| number_after(line, name).unwrap_or(0));
        count += loops * rows.iter().sum::<usize>();
    }
    count
}

/// Reads the whole part of the number that follows a text.
fn number_after(line: &str, name: &str) -> Option<usize> {
    let digits = line.split_once(name)?.1;
    digits[..digits.find(|end: char| !end.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
}

#[tokio::test]
async fn each_read_of_the_history_reads_few_rows_of_a_long_journal() {
    let url = server::server().url_of(&server::unique_name());
    let store = PostgresStore::open(&url, PostgresOptions::default()).await.expect("the store opens");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("it connects");
    tokio::spawn(connection);
    client.batch_execute(&format!("{ROWS}; ANALYZE ecss_journal")).await.expect("the rows are written");
    let names = |states: Vec<&str>| format!("'{{{}}}'", states.join(","));
    let (all, open) = (states(|_| true), states(FiringState::is_open));
    // Each state has its newest rows read, and then the newest of them all.
    let merged = (all.len() + 1) * PAGE;
    let (all, refused, rare) = (names(all), names(vec!["refused"]), TickOutcome::LaunchFailed.as_str());
    for before in [i64::MAX, 50_000, 6_000] {
        let cases = [
            (DECISIONS, format!("{before}, {PAGE}"), PAGE),
            (DECISIONS_OF_JOB, format!("{before}, {PAGE}, 'busy', NULL"), PAGE),
            (DECISIONS_OF_OUTCOME, format!("{before}, {PAGE}, '{rare}'"), 1),
            (DECISIONS_OF_OUTCOME, format!("{before}, {PAGE}, 'idle'"), PAGE),
            (FIRINGS, format!("{all}, {before}, {PAGE}"), merged),
            (FIRINGS, format!("{refused}, {before}, {PAGE}"), 2),
            (FIRINGS_OF_JOB, format!("{all}, {before}, {PAGE}, 'busy'"), PAGE),
            (FIRING_BY_ID, format!("{all}, {before}, 'firing-5000', NULL"), 1),
        ];
        for (sql, params, most) in cases {
            for mode in ["custom", "generic"] {
                let read = rows_read(&client, mode, sql, &params).await;
                assert!(read > 0 && read <= most, "{mode} plan: {read} rows: {sql} with {params}");
            }
        }
    }
    let update = "UPDATE ecss_journal SET state = 'launched' WHERE seq = 5000; ANALYZE ecss_journal";
    client.batch_execute(update).await.expect("it is changed");
    let params = format!("{}, NULL", names(open));
    for mode in ["custom", "generic"] {
        let read = rows_read(&client, mode, OPEN_FIRINGS, &params).await;
        assert!((1..PAGE).contains(&read), "{mode} plan: {read} rows of open firings");
    }
    drop(store);
}
