// metrics-worker is the sample worker: no port, work without an end, and metrics of it to a statsd server.
import { SettingError, settings } from './settings.js';
import { startWorker } from './worker.js';

/** A restart cannot mend wrong settings. */
const MISCONFIGURED = 2;

function read() {
  try {
    return settings(process.env);
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    console.error(`error: ${error.message}`);
    process.exit(MISCONFIGURED);
  }
}

const known = read();
const { app, release, replica, version } = known.me;

/** One JSON object a line, named like those of the other apps. @type {import('./worker.js').Log} */
function log(level, message, fields = {}) {
  console.log(JSON.stringify({ time: new Date().toISOString(), level, message, app, release, replica, ...fields }));
}

const worker = startWorker(known, log);
// Process 1 has no default signal handlers: without these lines the engine would wait, then kill.
// `once`: a second Ctrl-C ends the process at once.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    const done = await worker.stop();
    if (done.sent === done.ticks) log('info', 'stopped, everything sent', done);
    else log('warn', 'stopped, not everything was sent', done);
  });
}
log('info', 'working', { version, backend: `${known.host}:${known.port}`, flush_ms: known.flushEvery });
