import { readFileSync } from 'node:fs';
import { buildApp } from './app.js';

const { env } = process;
// deploy-apps sets these variables; run by hand, the app is release "dev".
const me = {
  app: env.DEPLOY_APPS_APP || 'node-app',
  version: env.DEPLOY_APPS_VERSION || readFileSync(new URL('VERSION', import.meta.url), 'utf8').trim(),
  release: env.DEPLOY_APPS_RELEASE || 'dev',
  replica: env.DEPLOY_APPS_REPLICA || '1',
  started_at: new Date().toISOString(),
};

const app = buildApp(me);
// Process 1 has no default signal handlers: without these lines the engine would wait, then kill.
// `once`: a second Ctrl-C ends the process at once.
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, async () => {
    await app.close();
    console.log(`${me.app} ${me.version} (${me.release}) stopped, every request answered`);
  });
}
console.log(`${me.app} ${me.version} (${me.release}) listens on`, await app.listen({ host: '0.0.0.0', port: Number(env.PORT || 3000) }));
