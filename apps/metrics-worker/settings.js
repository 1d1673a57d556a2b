import { readFileSync } from 'node:fs';

/** A setting that is missing or wrong: told with what would be right. */
export class SettingError extends Error {
  /** @param {string} text @param {string} hint */
  constructor(text, hint) {
    super(`${text}\n\nhint: ${hint}`);
    this.name = 'SettingError';
  }
}

/**
 * @typedef {{ app: string, version: string, release: string, replica: string }} Identity
 * @typedef {{ me: Identity, host: string, port: number, flushEvery: number, heartbeat: string }} Settings
 */

/** @param {NodeJS.ProcessEnv} env @returns {Settings} */
export function settings(env) {
  return {
    // deploy-apps sets these variables; run by hand, the app is release "dev".
    me: {
      app: env.DEPLOY_APPS_APP || 'metrics-worker',
      version: env.DEPLOY_APPS_VERSION || readFileSync(new URL('VERSION', import.meta.url), 'utf8').trim(),
      release: env.DEPLOY_APPS_RELEASE || 'dev',
      replica: env.DEPLOY_APPS_REPLICA || '1',
    },
    host: hostIn(env.METRICS_BACKEND_HOST),
    port: numberIn('METRICS_BACKEND_PORT', env.METRICS_BACKEND_PORT, { least: 1, most: 65_535, example: '8125' }),
    flushEvery: numberIn('METRICS_FLUSH_MS', env.METRICS_FLUSH_MS ?? '1000', { least: 100, most: 60_000, example: '1000' }),
    heartbeat: env.HEARTBEAT_FILE || '/tmp/heartbeat',
  };
}

/** @param {string | undefined} text */
function hostIn(text) {
  const hint = 'set `METRICS_BACKEND_HOST` to the name or address of a statsd server, such as `statsd`';
  if (!text) throw new SettingError('`METRICS_BACKEND_HOST` is not set', hint);
  // An address with a scheme or a port is the usual slip; a lookup of it would fail much later, and without an end.
  if (!/^[0-9a-z.:_-]{1,253}$/i.test(text) || /^[^:]+:\d+$/.test(text)) {
    throw new SettingError(`\`METRICS_BACKEND_HOST\` is \`${text}\`, which is no host`, hint);
  }
  return text;
}

/** @param {string} name @param {string | undefined} text @param {{ least: number, most: number, example: string }} range */
function numberIn(name, text, { least, most, example }) {
  const hint = `set \`${name}\` to a whole number from ${least} to ${most}, such as \`${example}\``;
  if (!text) throw new SettingError(`\`${name}\` is not set`, hint);
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= least && number <= most)) throw new SettingError(`\`${name}\` is \`${text}\``, hint);
  return number;
}
