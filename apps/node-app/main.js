import { readFileSync } from 'node:fs';
import { buildApp } from './app.js';
import { startTracing } from './telemetry.js';

const { env } = process;
// deploy-apps sets these variables; run by hand, the app is release "dev".
const me = {
  app: env.DEPLOY_APPS_APP || 'node-app',
  version: env.DEPLOY_APPS_VERSION || readFileSync(new URL('VERSION', import.meta.url), 'utf8').trim(),
  release: env.DEPLOY_APPS_RELEASE || 'dev',
  replica: env.DEPLOY_APPS_REPLICA || '1',
  started_at: new Date().toISOString(),
};

const flushSpans = await startTracing(me, env);
// One JSON object a line, with the same names of fields as the other apps and the proxy.
const app = buildApp(me, {
  level: env.LOG_LEVEL || 'info',
  base: { app: me.app, release: me.release, replica: me.replica },
  messageKey: 'message',
  timestamp: () => `,"time":"${new Date().toISOString()}"`,
  formatters: { level: (level) => ({ level }) },
});
// Process 1 has no default signal handlers: without these lines the engine would wait, then kill.
// `once`: a second Ctrl-C ends the process at once.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await app.close();
    app.log.info('stopped, every request answered');
    await flushSpans().catch((error) => app.log.warn({ error: error.message }, 'the last spans were not sent'));
  });
}
await app.listen({ host: '0.0.0.0', port: Number(env.PORT || 3000), listenTextResolver: (address) => `listening at ${address}` });
