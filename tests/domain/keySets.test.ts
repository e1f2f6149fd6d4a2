/**
 * Key sets of identity providers, fetched over real https from loopback: how rarely a provider is asked, what of its
 * answers is taken, and that no address inside the network is reached.
 */
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { addressFault, type LookUp } from '../../src/domain/keySetFetch.ts';
import { type KeySetOptions, KeySets } from '../../src/domain/keySets.ts';
import { newKey, type Provider, type ProviderKey, startProvider } from '../support/provider.ts';
import { TEST_TLS } from '../support/tokens.ts';

const TENANT = '01890000-0000-7000-8000-000000000001';
const OTHER = '01890000-0000-7000-8000-000000000002';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let provider: Provider;
let first: ProviderKey;
let second: ProviderKey;
let time: number;
let warnings: { details: object; message: string }[];

beforeAll(async () => {
  [first, second] = await Promise.all([newKey('ES256', 'first'), newKey('ES256', 'second')]);
});
beforeEach(async () => {
  provider = await startProvider(first);
  time = Date.UTC(2026, 0, 1);
  warnings = [];
});
afterEach(() => provider.close());

const keySets = (options: Partial<KeySetOptions> = {}) =>
  new KeySets({
    internalHosts: ['127.0.0.1'],
    ca: TEST_TLS.cert,
    now: () => new Date(time),
    log: { warn: (details, message) => void warnings.push({ details, message }) },
    ...options,
  });

/** Whether the keys hold the one that signed. */
async function knows(find: Awaited<ReturnType<KeySets['current']>>, { keyId, algorithm }: ProviderKey) {
  return find({ alg: algorithm, kid: keyId! }).then(
    () => true,
    () => false,
  );
}

const fails = (response: ServerResponse) => response.writeHead(500).end();

const unavailable = (fault: string) => ({
  code: 'UNAUTHENTICATED',
  message: `The tenant's key set (tokenKeySetUrl) could not be had: ${fault}. It is asked for again every 30 seconds.`,
});

describe('a key set', () => {
  it('is fetched once by all who ask at once, and kept', async () => {
    const sets = keySets();
    const found = await Promise.all(Array.from({ length: 20 }, () => sets.current(TENANT, provider.url)));
    expect(new Set(found).size).toBe(1);
    expect(await knows(found[0]!, first)).toBe(true);
    await sets.current(TENANT, provider.url);
    expect(provider.asked).toEqual(['/keys']);
  });

  it('is of one tenant and one address', async () => {
    const sets = keySets();
    await sets.current(TENANT, provider.url);
    await sets.current(OTHER, provider.url);
    await sets.current(TENANT, `${provider.url}/other`);
    expect(provider.asked).toEqual(['/keys', '/keys', '/keys/other']);
  });

  it('is read anew behind its use from eight minutes on', async () => {
    const sets = keySets();
    const known = await sets.current(TENANT, provider.url);
    provider.keys = [second];
    time += 8 * MINUTE - 1;
    await sets.current(TENANT, provider.url);
    expect(provider.asked).toHaveLength(1);
    time += 1;
    let found = await sets.current(TENANT, provider.url);
    expect(found).toBe(known);
    while (found === known) {
      await sleep(5);
      found = await sets.current(TENANT, provider.url);
    }
    expect(await knows(found, first)).toBe(false);
    expect(provider.asked).toHaveLength(2);
  });

  it('is used no more after ten minutes without a look: a key that was withdrawn is good no longer', async () => {
    const sets = keySets();
    await sets.current(TENANT, provider.url);
    provider.keys = [second];
    time += 10 * MINUTE;
    expect(await knows(await sets.current(TENANT, provider.url), first)).toBe(false);
    expect(provider.asked).toHaveLength(2);
  });

  it('that lacks a key is read anew, but not within 30 seconds, however many ask', async () => {
    const sets = keySets();
    const known = await sets.current(TENANT, provider.url);
    provider.keys = [first, second];
    time += 29_999;
    expect(await sets.newer(TENANT, provider.url, known)).toBeNull();
    expect(provider.asked).toHaveLength(1);
    time += 1;
    const newer = await Promise.all(Array.from({ length: 20 }, () => sets.newer(TENANT, provider.url, known)));
    expect(new Set(newer).size).toBe(1);
    expect(await knows(newer[0]!, second)).toBe(true);
    expect(await sets.newer(TENANT, provider.url, newer[0]!)).toBeNull();
    expect(await sets.newer(TENANT, provider.url, known)).toBe(newer[0]);
    expect(provider.asked).toHaveLength(2);
  });
});

describe('a provider that is down', () => {
  it('is done without for 24 hours, and asked every 30 seconds while tokens come', async () => {
    const sets = keySets();
    const known = await sets.current(TENANT, provider.url);
    provider.answer = (_, response) => fails(response);
    time += 10 * MINUTE;
    expect(await sets.current(TENANT, provider.url)).toBe(known);
    expect(await sets.current(TENANT, provider.url)).toBe(known);
    expect(provider.asked).toHaveLength(2);
    time += 30_000;
    expect(await sets.current(TENANT, provider.url)).toBe(known); // at once: asking goes on behind
    while (warnings.length < 2) await sleep(5);
    expect(provider.asked).toHaveLength(3);
    time += 23 * HOUR;
    expect(await sets.current(TENANT, provider.url)).toBe(known);
    time += HOUR;
    const refused = unavailable('it answered with status 500; only 200 is taken, no redirect');
    await expect(sets.current(TENANT, provider.url)).rejects.toMatchObject(refused);
  });

  it('and comes back is looked at before its old keys are believed once more', async () => {
    const sets = keySets();
    await sets.current(TENANT, provider.url);
    const { answer } = provider;
    provider.answer = (_, response) => fails(response);
    time += 10 * MINUTE;
    await sets.current(TENANT, provider.url);
    provider.answer = answer;
    provider.keys = [second];
    time += 10 * MINUTE;
    expect(await knows(await sets.current(TENANT, provider.url), first)).toBe(false);
  });

  it('from the start lets nobody in, is asked again after 30 seconds, and is logged without its address', async () => {
    const sets = keySets();
    provider.answer = (_, response) => fails(response);
    const address = `${provider.url}?code=hunter2`;
    const refused = unavailable('it answered with status 500; only 200 is taken, no redirect');
    await expect(sets.current(TENANT, address)).rejects.toMatchObject(refused);
    time += 29_999;
    await expect(sets.current(TENANT, address)).rejects.toMatchObject(refused);
    expect(provider.asked).toHaveLength(1);
    time += 1;
    await expect(sets.current(TENANT, address)).rejects.toMatchObject(refused);
    expect(provider.asked).toHaveLength(2);
    expect(warnings).toMatchObject([
      { message: "a tenant's key set could not be had", details: { tenant: TENANT, host: '127.0.0.1' } },
      {},
    ]);
    expect(JSON.stringify(warnings)).not.toContain('hunter2');
  });
});

describe('a provider that is slow', () => {
  const busy = {
    code: 'NOT_READY',
    message: "The tenant's key set (tokenKeySetUrl) is being fetched: send this again in a second.",
  };
  let letGo: () => void;
  beforeEach(() => {
    const { answer } = provider;
    const held: (() => void)[] = [];
    let open = false;
    letGo = () => {
      open = true;
      for (const go of held) go();
    };
    provider.answer = (request, response) => {
      if (open) answer(request, response);
      else held.push(() => answer(request, response));
    };
  });

  it('keeps 20 requests of a tenant waiting, and no more', async () => {
    const sets = keySets();
    const waiting = Array.from({ length: 20 }, () => sets.current(TENANT, provider.url));
    await expect(sets.current(TENANT, provider.url)).rejects.toMatchObject(busy);
    const others = sets.current(OTHER, provider.url);
    letGo();
    expect(new Set(await Promise.all(waiting)).size).toBe(1);
    await others;
    await sets.current(TENANT, provider.url);
  });

  it('keeps no more waiting for a key that a set lacks', async () => {
    const sets = keySets();
    letGo();
    const known = await sets.current(TENANT, provider.url);
    time += MINUTE;
    provider.answer = () => {};
    const waiting = Array.from({ length: 20 }, () => sets.newer(TENANT, provider.url, known));
    await expect(sets.newer(TENANT, provider.url, known)).rejects.toMatchObject(busy);
    expect(await sets.current(TENANT, provider.url)).toBe(known); // who has a known key waits for nobody
    await provider.close();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([null]));
  });

  it('keeps 60 waiting in all, of however many tenants', async () => {
    const sets = keySets();
    const waiting = Array.from({ length: 60 }, (_, i) => sets.current(`tenant ${i % 4}`, provider.url));
    await expect(sets.current('tenant 4', provider.url)).rejects.toMatchObject(busy);
    letGo();
    await Promise.all(waiting);
    await sets.current('tenant 4', provider.url);
  });
});

describe('what a provider answers', () => {
  const answers: [string, (response: ServerResponse) => void, string][] = [
    [
      'a redirect',
      (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
      'it answered with status 302; only 200 is taken, no redirect',
    ],
    ['no JSON', (response) => response.end('<html>'), 'what it answered is no key set (RFC 7517: {"keys": […]})'],
    ['no keys', (response) => response.end('{}'), 'what it answered is no key set (RFC 7517: {"keys": […]})'],
    [
      'keys that are none',
      (response) => response.end('{"keys":[1]}'),
      'what it answered is no key set (RFC 7517: {"keys": […]})',
    ],
    [
      'too many keys',
      (response) => response.end(JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ kty: 'EC' })) })),
      'it has 101 keys; at most 100 are taken',
    ],
    ['too much', (response) => response.end(' '.repeat(65_537)), 'it answered with more than 65536 bytes'],
    ['without end', pour, 'it answered with more than 65536 bytes'],
    ['by hanging up', (response) => response.destroy(), 'it could not be reached over https at a public address'],
  ];

  it.each(answers)('is refused: %s', async (_, answer, fault) => {
    provider.answer = (_request, response) => answer(response);
    await expect(keySets().current(TENANT, provider.url)).rejects.toMatchObject(unavailable(fault));
    expect(provider.asked).toEqual(['/keys']);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['nothing', () => {}],
    ['a byte at a time', trickle],
    ['that it will speak otherwise', upgrade],
  ])('is not waited for beyond the time: %s', async (_, answer) => {
    provider.answer = (_request, response) => answer(response);
    const refused = unavailable('it did not answer within 1 s');
    await expect(keySets({ timeoutMs: 1_000 }).current(TENANT, provider.url)).rejects.toMatchObject(refused);
  });

  function pour(response: ServerResponse): void {
    response.on('drain', () => response.write(' '.repeat(20_000)));
    response.write(' '.repeat(20_000));
  }

  function trickle(response: ServerResponse): void {
    const timer = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(timer));
  }

  function upgrade(response: ServerResponse): void {
    response.socket?.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n');
  }

  it('is refused from whom no authority vouches for', async () => {
    const refused = unavailable('it could not be reached over https at a public address');
    await expect(keySets({ ca: undefined }).current(TENANT, provider.url)).rejects.toMatchObject(refused);
    expect(provider.asked).toEqual([]);
  });
});

describe('an address', () => {
  it.each([
    ['http://provider.test/keys', 'it must be an https:// address'],
    ['file:///etc/passwd', 'it must be an https:// address'],
    ['provider.test', 'it must be an https:// address'],
    ['https://', 'it must be an https:// address'],
    ['https://ada:secret@provider.test/keys', 'it must hold no user name and no password'],
    ['https://provider.test/keys#x', 'it must have no fragment (#…)'],
    ['https://127.0.0.1/keys', '127.0.0.1 is not an address of the public internet'],
    ['https://2130706433/keys', '127.0.0.1 is not an address of the public internet'],
    ['https://0x7f.1/keys', '127.0.0.1 is not an address of the public internet'],
    ['https://127.0.0.1./keys', '127.0.0.1 is not an address of the public internet'],
    ['https://0.0.0.0/keys', '0.0.0.0 is not an address of the public internet'],
    ['https://10.1.2.3/keys', '10.1.2.3 is not an address of the public internet'],
    ['https://172.16.0.1/keys', '172.16.0.1 is not an address of the public internet'],
    ['https://192.168.1.1/keys', '192.168.1.1 is not an address of the public internet'],
    ['https://100.64.0.1/keys', '100.64.0.1 is not an address of the public internet'],
    ['https://169.254.169.254/latest', '169.254.169.254 is not an address of the public internet'],
    ['https://224.0.0.1/keys', '224.0.0.1 is not an address of the public internet'],
    ['https://[::1]/keys', '::1 is not an address of the public internet'],
    ['https://[::ffff:127.0.0.1]/keys', '::ffff:7f00:1 is not an address of the public internet'],
    ['https://[64:ff9b::7f00:1]/keys', '64:ff9b::7f00:1 is not an address of the public internet'],
    ['https://[fe80::1]/keys', 'fe80::1 is not an address of the public internet'],
    ['https://[fd00::1]/keys', 'fd00::1 is not an address of the public internet'],
  ])('%s is refused, and not asked', async (address, fault) => {
    expect(addressFault(address, [])).toBe(fault);
    await expect(keySets({ internalHosts: [] }).current(TENANT, address)).rejects.toMatchObject(unavailable(fault));
  });

  it.each(['https://provider.test/keys?tenant=a', 'https://8.8.8.8/keys', 'https://[2606:4700::1111]/keys'])(
    '%s is taken',
    (address) => expect(addressFault(address, [])).toBeNull(),
  );

  it('whose host an operator names may be private, and that host alone', () => {
    expect(addressFault('https://10.0.0.1/keys', ['10.0.0.1'])).toBeNull();
    expect(addressFault('https://[FD00:0::1]/keys', ['fd00::1'])).toBeNull();
    expect(addressFault('https://10.0.0.2/keys', ['10.0.0.1'])).not.toBeNull();
  });

  const resolvesTo =
    (...addresses: string[]): LookUp =>
    (_, answer) =>
      answer(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
  const unreachable = unavailable('it could not be reached over https at a public address');

  it.each([
    ['127.0.0.1 to the system', 'localhost', {}],
    ['127.0.0.1', 'provider.test', { lookUp: resolvesTo('127.0.0.1') }],
    ['::1', 'provider.test', { lookUp: resolvesTo('::1') }],
    ['::ffff:127.0.0.1', 'provider.test', { lookUp: resolvesTo('::ffff:127.0.0.1') }],
    ['a private address among public ones', 'provider.test', { lookUp: resolvesTo('8.8.8.8', '127.0.0.1') }],
    ['nothing', 'provider.test', { lookUp: resolvesTo() }],
  ])('whose name stands for %s is not connected to', async (_, host, options) => {
    const address = `https://${host}:${provider.port}/keys`;
    expect(addressFault(address, [])).toBeNull();
    await expect(keySets({ internalHosts: [], ...options }).current(TENANT, address)).rejects.toMatchObject(
      unreachable,
    );
    expect(provider.asked).toEqual([]);
  });

  it('is looked up once a connection, so that what was looked at is what is connected to', async () => {
    let lookUps = 0;
    const rebinding: LookUp = (host, answer) => resolvesTo(++lookUps === 1 ? '127.0.0.1' : '8.8.8.8')(host, answer);
    const sets = keySets({ internalHosts: [], lookUp: rebinding });
    const address = `https://provider.test:${provider.port}/keys`;
    await expect(sets.current(TENANT, address)).rejects.toMatchObject(unreachable);
    expect(lookUps).toBe(1);
    expect(JSON.stringify(warnings, (_, value) => (value instanceof Error ? String(value.cause) : value))).toContain(
      'provider.test is 127.0.0.1, which is no public address',
    );
  });

  it('whose name an operator names is connected to wherever it is', async () => {
    const sets = keySets({ internalHosts: ['localhost'] });
    const find = await sets.current(TENANT, `https://LOCALHOST:${provider.port}/keys`);
    expect(await knows(find, first)).toBe(true);
  });
});
