// An identity provider for tests: npm's oidc-provider, with people of its own and a login page.
// Arguments: the directory that holds node_modules; issuer; client secret; addresses to return to.
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [modules, issuer, secret, ...returns] = process.argv.slice(2);
const library = pathToFileURL(`${modules}/node_modules/oidc-provider/lib/index.js`);
const { default: Provider } = await import(library);

// What the provider knows of its people, beside their names.
const people = JSON.parse(process.env.PEOPLE);
const client = (id) => ({
  client_id: id,
  client_secret: secret,
  redirect_uris: returns,
  post_logout_redirect_uris: returns.map((at) => new URL('/login', at).href),
  // The last of the addresses is that of a server, which can be told.
  backchannel_logout_uri: new URL('/login/oidc/utloggad', returns.at(-1)).href,
  backchannel_logout_session_required: true,
  grant_types: ['authorization_code'],
  response_types: ['code'],
  token_endpoint_auth_method: 'client_secret_basic',
});

const provider = new Provider(issuer, {
  clients: [client('egenmonitor'), client('another')],
  pkce: { methods: ['S256'], required: () => true },
  acrValues: ['loa3', 'loa2'],
  scopes: ['openid', 'numbers'],
  claims: { openid: ['sub'], numbers: ['hsa_id', 'personal_number'], acr: null, auth_time: null },
  cookies: { keys: [secret] },
  features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  // Nobody is asked whether she agrees that her employer knows who she is.
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({
      clientId: oidc.client.clientId,
      accountId: oidc.session.accountId,
    });
    grant.addOIDCScope('openid numbers');
    await grant.save();
    return grant;
  },
});

const page = `<!doctype html><html lang="sv"><title>Legitimera dig</title>
<form method="post"><label>Person <input name="person"></label>
<label>Nivå <input name="acr" value="loa3"></label>
<button name="answer" value="yes">Legitimera</button>
<button name="answer" value="no">Avbryt</button></form></html>`;

async function interaction(request, response) {
  if (request.method === 'GET') {
    await provider.interactionDetails(request, response);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(page);
    return;
  }
  let body = '';
  for await (const part of request) body += part;
  const said = new URLSearchParams(body);
  const result = said.get('answer') === 'no'
    ? { error: 'access_denied', error_description: 'she said no' }
    : { login: { accountId: said.get('person'), acr: said.get('acr') } };
  await provider.interactionFinished(request, response, result);
}

const answer = provider.callback();
createServer((request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response);
  return interaction(request, response).catch((error) => {
    response.statusCode = 400;
    response.end(String(error));
  });
}).listen(new URL(issuer).port, '127.0.0.1', () => console.log('ready'));
