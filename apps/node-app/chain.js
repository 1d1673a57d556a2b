// One request across several apps: `/chain?to=go-app,visitors/version`.
import { tracedFetch, traceFields } from './telemetry.js';

const LONGEST = 8;
const TIMEOUT = 10_000;
// An app's name has neither dots nor a port: requests go to apps of this project and nowhere else.
const LINK = /^([a-z0-9][a-z0-9_-]{0,62})(\/[A-Za-z0-9/._-]*)?$/;

/**
 * A name alone hands the rest of the chain over to that app's own /chain; a name with a path is asked for that, and the
 * chain goes on here. Apps reach each other through the proxy, so a deploy of one is not felt by the others.
 */
export function chain(app, me) {
  app.get('/chain', async (request) => {
    const links = linksIn(request.query.to ?? '');
    const calls = [];
    for (const [at, link] of links.entries()) {
      const [, name, path] = LINK.exec(link);
      const rest = encodeURIComponent(links.slice(at + 1).join(','));
      calls.push(await follow(request, name, `http://${name}${path ?? `/chain?to=${rest}`}`));
      if (path === undefined) break;
    }
    return { app: me.app, release: me.release, trace_id: traceFields(request.span).trace_id, calls };
  });
}

function linksIn(text) {
  const links = text === '' ? [] : String(text).split(',');
  if (links.length > LONGEST) throw wrong(`${links.length} apps are more than ${LONGEST}`);
  const bad = links.find((link) => !LINK.test(link));
  if (bad !== undefined) throw wrong(`${JSON.stringify(bad)} is no app's name, such as \`go-app\` or \`visitors/version\``);
  return links;
}

function wrong(why) {
  return Object.assign(new Error(`bad \`to\`: ${why}`), { statusCode: 400 });
}

async function follow(request, name, url) {
  let response, text;
  try {
    response = await tracedFetch(request, url, { signal: AbortSignal.timeout(TIMEOUT) });
    text = (await response.text()).trim();
  } catch (cause) {
    throw Object.assign(new Error(`\`${name}\` gave no answer`, { cause }), { statusCode: 502 });
  }
  return { url, status: response.status, answer: parsed(text) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
