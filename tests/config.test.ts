/** Settings: defaults where nothing is set, and one clear message for all that is wrong. */
import { describeSettings, readConfig } from '../src/config.ts';

it('has a default for every setting', () => {
  expect(readConfig({})).toMatchObject({
    port: 4000,
    host: '127.0.0.1',
    dataDirectory: './.palate',
    databaseUrl: null,
    maxUploadBytes: 20_000_000,
    maxPixels: 50_000_000,
  });
});

it('counts an empty variable as unset, and takes what is in range', () => {
  expect(readConfig({ PORT: ' ', PALATE_MAX_PIXELS: '1000' })).toMatchObject({ port: 4000, maxPixels: 1000 });
  expect(readConfig({ PORT: '0', PALATE_PUBLIC_URL: 'https://taste.example/' })).toMatchObject({
    port: 0,
    publicUrl: 'https://taste.example',
  });
  const browser = { PALATE_CORS_ORIGINS: 'https://app.example, http://localhost:5173', PALATE_INTROSPECTION: 'off' };
  expect(readConfig(browser)).toMatchObject({
    corsOrigins: ['https://app.example', 'http://localhost:5173'],
    introspection: false,
  });
});

it.each([
  ['PORT', '65536', 'PORT: "65536" is not a whole number from 0 to 65535.'],
  ['PORT', '4000.5', 'PORT: "4000.5" is not a whole number from 0 to 65535.'],
  ['PORT', '-1', 'PORT: "-1" is not a whole number from 0 to 65535.'],
  ['PALATE_PUBLIC_URL', 'ftp://x', 'PALATE_PUBLIC_URL: "ftp://x" is not an http:// or https:// address.'],
  ...[
    '*',
    'https://app.example/',
    'https://app.example,*',
    'app.example',
    'https://App.example',
    'https://a.b/c',
    'null',
    ',',
  ].map((text): [string, string, string] => [
    'PALATE_CORS_ORIGINS',
    text,
    `PALATE_CORS_ORIGINS: "${text}" is not a list of exact origins, comma between, such as https://app.example,http://localhost:5173; * is none.`,
  ]),
  ['PALATE_ONLY_TRUSTED_DOCUMENTS', 'yes', 'PALATE_ONLY_TRUSTED_DOCUMENTS: "yes" is not on or off.'],
  [
    'PALATE_LOG_LEVEL',
    'loud',
    'PALATE_LOG_LEVEL: "loud" is not one of fatal, error, warn, info, debug, trace, silent.',
  ],
])('refuses %s=%s, naming variable, value and what is allowed', (variable, value, message) => {
  expect(() => readConfig({ [variable]: value })).toThrow(message);
});

it('reads hosts in the spelling that they have in an address', () => {
  const hosts = (text: string) => readConfig({ PALATE_INTERNAL_KEY_SET_HOSTS: text }).internalKeySetHosts;
  expect(hosts('')).toBeNull();
  expect(hosts('ID.corp.example, 10.0.0.7,FD00:0::1')).toEqual(['id.corp.example', '10.0.0.7', 'fd00::1']);
  for (const text of ['https://id.corp.example', 'id.corp.example:8443', 'a b', 'a,', 'a/b', 'a@b']) {
    expect(() => hosts(text)).toThrow(
      `PALATE_INTERNAL_KEY_SET_HOSTS: "${text}" is not a list of host names or IP addresses, comma between, without port.`,
    );
  }
});

it('reads where a bucket is, and names a setting that means nothing without another', () => {
  const bucket = { PALATE_S3_BUCKET: 'taste', PALATE_S3_ENDPOINT: 'https://s3.example/', PALATE_S3_PREFIX: 'a/b.c/' };
  expect(readConfig(bucket)).toMatchObject({
    ...{ s3Bucket: 'taste', s3Endpoint: 'https://s3.example', s3Prefix: 'a/b.c', s3Region: 'us-east-1' },
    ...{ s3PathStyle: null, s3AccessKeyId: null, s3SecretAccessKey: null },
  });
  const lacking = (environment: Record<string, string>, ...pairs: [string, string][]) =>
    expect(() => readConfig(environment)).toThrow(
      pairs.map(([name, other]) => `${name}: It means nothing without ${other}: set that, or unset this.`).join('\n'),
    );
  lacking({ PALATE_S3_ENDPOINT: 'https://s3.example' }, ['PALATE_S3_ENDPOINT', 'PALATE_S3_BUCKET']);
  lacking(
    { PALATE_S3_PREFIX: 'a', PALATE_S3_REGION: 'x', PALATE_S3_PATH_STYLE: 'on' },
    ...(['PREFIX', 'REGION', 'PATH_STYLE'] as const).map((name): [string, string] => [
      `PALATE_S3_${name}`,
      'PALATE_S3_BUCKET',
    ]),
  );
  const [id, secret] = ['PALATE_S3_ACCESS_KEY_ID', 'PALATE_S3_SECRET_ACCESS_KEY'];
  lacking({ PALATE_S3_BUCKET: 'taste', [id]: 'AKIA' }, [id, secret]);
  lacking({ PALATE_S3_BUCKET: 'taste', [secret]: 'hunter2' }, [secret, id]);
});

it.each([
  ['PALATE_S3_BUCKET', ['Taste', 'a', 'a/b', '-ab', 'a'.repeat(64), '..']],
  ['PALATE_S3_PREFIX', ['/', '/a', 'a//b', '..', 'a/../b', './a', 'a/.', 'a b', 'ä']],
  ['PALATE_S3_ENDPOINT', ['s3.example', 'ftp://s3.example', 'https://key:secret@s3.example', 'https://s3.example/?a']],
  ['PALATE_S3_REGION', ['eu west', 'a.b', '/']],
  ['PALATE_S3_PATH_STYLE', ['yes']],
])('refuses %s=%j', (variable, texts) => {
  for (const text of texts) {
    expect(() => readConfig({ PALATE_S3_BUCKET: 'taste', [variable]: text })).toThrow(`${variable}: "${text}" is not `);
  }
});

it('never shows a secret', () => {
  const key = { PALATE_S3_ACCESS_KEY_ID: 'AKIA hunter2', PALATE_S3_SECRET_ACCESS_KEY: 'hunter2 hunter2' };
  expect(() => readConfig({ PALATE_S3_BUCKET: 'taste', ...key })).toThrow(
    /^PALATE_S3_ACCESS_KEY_ID: The value is not [^\n]*\nPALATE_S3_SECRET_ACCESS_KEY: The value is not [^\n]*$/,
  );
  expect(() => readConfig({ DATABASE_URL: 'mysql://palate:hunter2@db' })).toThrow(
    /^DATABASE_URL: The value is not a postgres:\/\/ or postgresql:\/\/ address\.$/,
  );
});

it('tells everything that is wrong at once', () => {
  expect(() => readConfig({ PORT: 'x', HOST: 'a b' })).toThrow(/PORT: .*\nHOST: /);
});

it('describes every setting in a row of its own', () => {
  const rows = describeSettings();
  expect(new Set(rows.map(({ variable }) => variable)).size).toBe(rows.length);
  expect(rows[0]).toEqual({
    variable: 'PORT',
    default: '4000',
    unit: '',
    allowed: 'a whole number from 0 to 65535',
    doc: 'The TCP port to listen on; 0 takes any free one.',
  });
});
