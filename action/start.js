// Gets larder, and tells the steps that follow to use it. It runs before the job's first step
// (pre) and as the step itself (main). An action that lies in the repository has no pre, and
// before the first step there may be no Go: then main does what pre has not done.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const env = process.env;
const input = (name) => (env['INPUT_' + name.toUpperCase()] || '').trim();
const say = (text) => console.log('larder: ' + text);

// choice returns an input that has one of the given values, the first one by default.
function choice(name, ...allowed) {
  const value = input(name) || allowed[0];
  if (!allowed.includes(value)) {
    throw new Error(`${name} is ${JSON.stringify(value)}: want one of ${allowed.join(', ')}`);
  }
  return value;
}

// hand appends name=value to the file through which the runner takes it: GITHUB_ENV for the
// steps that follow, GITHUB_STATE for this action's later parts.
function hand(file, name, value) {
  const end = 'end-' + crypto.randomUUID();
  fs.appendFileSync(env[file], `${name}<<${end}\n${value}\n${end}\n`);
}

// download returns the content of a URL.
async function download(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(60_000) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
  return Buffer.from(await answer.arrayBuffer());
}

// latest returns the version of the latest release, to which its page redirects.
async function latest(releases) {
  const answer = await fetch(`${releases}/latest`, { redirect: 'manual', signal: AbortSignal.timeout(60_000) });
  const version = (answer.headers.get('location') || '').split('/tag/')[1];
  if (!version) throw new Error(`${releases}/latest names no release`);
  return version;
}

// WrongSum says that an archive is not what the release says.
class WrongSum extends Error {}

// unpack downloads a release's archive for this machine, checks it, and returns the folder
// that has the program. A runner that keeps its tools has it from then on.
async function unpack(releases, version) {
  const system = { linux: 'linux', darwin: 'darwin', win32: 'windows' }[process.platform];
  const machine = { x64: 'amd64', arm64: 'arm64' }[process.arch];
  const folder = path.join(env.RUNNER_TOOL_CACHE || env.RUNNER_TEMP, 'larder', version, `${system}-${machine}`);
  if (fs.existsSync(path.join(folder, 'complete'))) return folder;

  const plain = version.replace(/^v/, '');
  const name = `larder_${plain}_${system}_${machine}.${system === 'windows' ? 'zip' : 'tar.gz'}`;
  const sums = (await download(`${releases}/download/${version}/larder_${plain}_checksums.txt`)).toString();
  const line = sums.split('\n').map((l) => l.trim().split(/\s+/)).find((l) => l[1] === name);
  if (!line) throw new Error(`release ${version} has no ${name}`);
  const archive = await download(`${releases}/download/${version}/${name}`);
  const sum = crypto.createHash('sha256').update(archive).digest('hex');
  if (sum !== line[0]) throw new WrongSum(`${name} has checksum ${sum}, and should have ${line[0]}`);

  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, name);
  fs.writeFileSync(file, archive);
  run('tar', ['-xf', name], { cwd: folder });
  fs.rmSync(file);
  fs.writeFileSync(path.join(folder, 'complete'), '');
  return folder;
}

// run runs a program, and throws what it has printed if it fails.
function run(program, args, options) {
  const done = spawnSync(program, args, { encoding: 'utf8', ...options });
  if (done.error) throw done.error;
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stderr.trim()}`);
}

// install has the go command build a version, and returns the folder that has the program.
function install(version) {
  const folder = path.join(env.RUNNER_TEMP, 'larder', version);
  run('go', ['install', `github.com/larderbuild/larder@${version}`], { env: { ...env, GOBIN: folder, GOFLAGS: '', GOCACHEPROG: '' } });
  return folder;
}

// program returns the path of larder.
async function program() {
  if (env.LARDER_BIN) return env.LARDER_BIN;
  const releases = env.LARDER_RELEASES || 'https://github.com/larderbuild/larder/releases';
  const name = process.platform === 'win32' ? 'larder.exe' : 'larder';
  const wanted = input('version') || 'latest';
  try {
    const version = wanted === 'latest' ? await latest(releases) : wanted;
    return path.join(await unpack(releases, version), name);
  } catch (noArchive) {
    if (noArchive instanceof WrongSum) throw noArchive;
    try {
      return path.join(install(wanted), name);
    } catch (noGo) {
      throw new Error(`${noArchive.message}; and ${noGo.message}`);
    }
  }
}

// cacheService returns the variables for a remote in GitHub's cache service, or says why there
// is none.
function cacheService(remote) {
  const host = new URL(env.GITHUB_SERVER_URL || 'https://github.com').hostname.toLowerCase();
  const mode = (env.ACTIONS_CACHE_MODE || '').trim().toLowerCase();
  if (host !== 'github.com' && !/\.(ghe\.com|localhost)$/.test(host)) {
    return { why: `${host} has no cache service that larder can use, as GitHub Enterprise Server never has` };
  }
  if (!env.ACTIONS_RESULTS_URL || !env.ACTIONS_RUNTIME_TOKEN) {
    return { why: 'this runner gives no access to the cache service' };
  }
  if (mode === 'none' || mode === 'write-only') {
    return { why: `the job's cache mode is ${mode}, so it reads nothing` };
  }
  console.log('::add-mask::' + env.ACTIONS_RUNTIME_TOKEN);
  const variables = {
    LARDER_REMOTE: remote,
    LARDER_ACTIONS_RESULTS_URL: env.ACTIONS_RESULTS_URL,
    LARDER_ACTIONS_RUNTIME_TOKEN: env.ACTIONS_RUNTIME_TOKEN,
  };
  if (mode === 'read') variables.LARDER_READONLY = 'true';
  // A machine that runs jobs of several repositories keeps them apart.
  if (env.RUNNER_ENVIRONMENT === 'self-hosted' && env.RUNNER_TOOL_CACHE && !env.LARDER_DIR) {
    variables.LARDER_DIR = path.join(env.RUNNER_TOOL_CACHE, 'larder-cache', env.GITHUB_REPOSITORY || 'unknown');
  }
  return { variables };
}

async function start() {
  const mode = choice('mode', 'read-write', 'read-only', 'off');
  choice('summary', 'true', 'false');
  if (mode === 'off') return say('off');

  const bin = await program();
  const remote = input('remote') || env.LARDER_REMOTE || 'gha://';
  let variables = { LARDER_REMOTE: remote };
  if (/^gha:/i.test(remote)) {
    const service = cacheService(remote);
    if (service.why) say(service.why + '. Builds use this machine alone');
    variables = service.variables || { LARDER_REMOTE: '' };
  }
  variables.GOCACHEPROG = /\s/.test(bin) ? `"${bin}"` : bin;
  variables.LARDER_CLOSE = 'defer';
  if (mode === 'read-only') variables.LARDER_READONLY = 'true';
  if (input('scope')) variables.LARDER_SCOPE = input('scope');
  if (!env.LARDER_STATS) variables.LARDER_STATS = path.join(env.RUNNER_TEMP, 'larder-stats.json');
  for (const [name, value] of Object.entries(variables)) hand('GITHUB_ENV', name, value);
  fs.appendFileSync(env.GITHUB_PATH, path.dirname(bin) + '\n'); // for steps such as larder gc
  hand('GITHUB_STATE', 'larder', bin);
  const shown = variables.LARDER_REMOTE.replace(/[^/]*@|[?#].*/g, ''); // without what may be secret
  say(`builds use ${shown || 'this machine alone'}`);
}

// main gives the files of the checkout, if that is there by now, the times that they have in
// every job. Versions of larder that can't do that are left alone.
function main() {
  spawnSync(env.STATE_larder, ['mtimes'], { stdio: 'ignore', cwd: env.GITHUB_WORKSPACE });
}

if (env.STATE_larder) {
  main();
} else {
  start().catch((err) => {
    if (/: want one of /.test(err.message)) {
      console.log('::error::larder: ' + err.message);
      process.exitCode = 1;
    } else {
      console.log('::warning::larder: builds go on without it: ' + err.message.replace(/\s+/g, ' '));
    }
  });
}
