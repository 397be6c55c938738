// Runs at the end of the job: writes what its builds have made to the remote, and says in the
// job's summary what larder has saved. Whatever happens here, the job does not fail.
'use strict';
const fs = require('node:fs');
const { spawnSync } = require('node:child_process');

const env = process.env;
const patience = 10 * 60_000; // milliseconds that writing may take

// flush writes, and returns what larder says of that.
function flush() {
  console.log('larder: writing what the builds of this job have made');
  const done = spawnSync(env.STATE_larder, ['flush', '--json'], {
    encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], timeout: patience,
  });
  if (done.error) console.log('larder: ' + done.error.message);
  try {
    return JSON.parse(done.stdout);
  } catch {
    return {};
  }
}

// builds returns the sums of what the sessions of this job have counted.
function builds() {
  const sums = {};
  let text = '';
  try {
    text = fs.readFileSync(env.LARDER_STATS, 'utf8');
  } catch {
    return sums; // there was no build, or the job counts in another way
  }
  for (const line of text.split('\n').filter(Boolean)) {
    for (const [name, n] of Object.entries(JSON.parse(line))) sums[name] = (sums[name] || 0) + n;
  }
  return sums;
}

const megabytes = (n) => ((n || 0) / 1e6).toFixed(1) + ' MB';

// report returns the summary, in Markdown.
function report(sums, written) {
  const rows = [];
  if (sums.gets) {
    const hits = sums.local_hits + sums.prefetch_hits + sums.remote_hits;
    rows.push(['Hits', `${hits} of ${sums.gets} (${Math.floor((100 * hits) / sums.gets)} %)`]);
    rows.push(['Build time saved', `${(sums.saved_ns / 1e9).toFixed(1)} s`]);
    rows.push(['Read', `${megabytes(sums.remote_bytes_in)} in ${sums.remote_requests} requests`]);
  }
  if (written.published !== undefined) {
    rows.push(['Written', `${written.published + written.uploads} entries, ${megabytes(written.remote_bytes_out)}`]);
  }
  return ['### larder', '', '| | |', '|---|---|', ...rows.map((r) => `| ${r.join(' | ')} |`), ''].join('\n');
}

try {
  if (env.STATE_larder) {
    const written = env.LARDER_READONLY === 'true' || !env.LARDER_REMOTE ? {} : flush();
    if (env.INPUT_SUMMARY !== 'false' && env.GITHUB_STEP_SUMMARY) {
      fs.appendFileSync(env.GITHUB_STEP_SUMMARY, report(builds(), written));
    }
  }
} catch (err) {
  console.log('larder: ' + err.message);
}
