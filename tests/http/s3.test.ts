/**
 * The service with its files in a bucket: what is uploaded is encoded, served and erased as on a disk, and a server that
 * does not answer costs no image and tells no client where it is.
 */
import { randomUUID } from 'node:crypto';
import { NO_TENANT, withOperator, withTenant } from '../../src/database/client.ts';
import { issueApiKey } from '../../src/domain/apiKeys.ts';
import { toGlobalId } from '../../src/domain/ids.ts';
import { eraseFiles, eraseOrphans, eraseStrayFolders, eraseStrayWeights } from '../../src/domain/storedFiles.ts';
import { newCandidate } from '../support/candidates.ts';
import { S3_KEY, type S3Server, s3Server } from '../support/s3Server.ts';
import { picture, type TestService, type TestTenant, testService } from './service.ts';

const HOUR_MS = 60 * 60 * 1000;

let s3: S3Server;
let service: TestService;

beforeAll(async () => {
  s3 = await s3Server();
  service = await testService({}, s3.environment);
});
afterEach(() => s3.mend());
afterAll(async () => {
  await service.close();
  await s3.close();
});

const keysOf = ({ id }: TestTenant) => s3.keys().filter((key) => key.includes(id));
const imageOf = async (tenant: TestTenant, id: string): Promise<{ status: string; url: string }> => {
  const { data } = await tenant.ask('query ($id: ID!) { image(by: { id: $id }) { status url } }', { id });
  return data.image;
};
async function deleteTenant(tenant: TestTenant): Promise<void> {
  const doer = { credential: { actor: 'a test' }, address: null, requestId: 'test' };
  const { secret } = await withTenant(NO_TENANT, () =>
    issueApiKey(service.test.database, doer, service.test.time, { name: 'an operator', role: 'OPERATOR' }),
  );
  const { data } = await tenant.ask(
    'mutation ($id: ID!) { deleteTenant(input: { id: $id, confirmName: "a tenant" }) { userErrors { message } } }',
    { id: toGlobalId('Tenant', tenant.id) },
    secret,
  );
  expect(data.deleteTenant.userErrors).toEqual([]);
}
const readiness = async () => {
  const response = await fetch(`${service.url}/readyz`);
  return response.json();
};

it('serves what was uploaded, and erases it with its image or its tenant', async () => {
  const [tenant, other] = [await service.tenant(), await service.tenant()];
  const red = await tenant.upload('#ff0000');
  const green = await tenant.upload('#00ff00');
  await other.upload('#ff0000');
  await tenant.encode();
  const { status, url } = await imageOf(tenant, red);
  expect(status).toBe('READY');
  const served = await fetch(url);
  expect(served.status).toBe(200);
  expect(Buffer.from(await served.arrayBuffer())).toEqual(await picture('#ff0000'));

  const model = await tenant.run(() => newCandidate(service.platform, tenant.id));
  await tenant.run(() => service.platform.networks.of(model));
  expect(keysOf(tenant).map((key) => key.split('/')[0])).toEqual(['models', 'pictures', 'pictures']);

  await tenant.ask('mutation ($ids: [ID!]!) { deleteImages(input: { ids: $ids }) { deletedIds } }', { ids: [green] });
  await tenant.run(() => eraseFiles(service.platform));
  expect(keysOf(tenant)).toHaveLength(2);
  await deleteTenant(tenant);
  expect(keysOf(tenant)).toEqual([]);
  expect(keysOf(other)).toHaveLength(1);
});

it('finds files that no row needs, of tenants that are there and of those that are gone', async () => {
  const tenant = await service.tenant();
  await tenant.upload('#0000ff');
  const [kept] = keysOf(tenant);
  const [orphan, stray] = [`0a${'0'.repeat(62)}`, `0b${'0'.repeat(62)}`];
  s3.write(`pictures/${tenant.id}/0a/${orphan}`, 2 * HOUR_MS);
  s3.write(`models/${tenant.id}/0b/${stray}`, 25 * HOUR_MS);
  s3.write(`pictures/${randomUUID()}/0a/${orphan}`, 2 * HOUR_MS);
  await withOperator(() => eraseStrayFolders(service.platform));
  await tenant.run(async () => {
    expect(await eraseOrphans(service.platform, '0', new Date())).toBe(1);
    await eraseStrayWeights(service.platform, '0', new Date());
    await eraseFiles(service.platform);
  });
  expect(keysOf(tenant)).toEqual([kept]);
  expect(s3.keys().filter((key) => key.endsWith(orphan))).toEqual([]);
});

it('tells a client that files cannot be reached, and the log why', async () => {
  const tenant = await service.tenant();
  const { url } = await imageOf(tenant, await tenant.upload('#ff00ff'));
  s3.fail('denied');
  const refused = {
    error: { code: 'NOT_READY', message: 'The stored files cannot be reached at the moment: try again.' },
  };
  const shown = await fetch(url);
  expect([shown.status, await shown.json()]).toMatchObject([503, refused]);
  const headers = { authorization: `Bearer ${tenant.serviceKey}`, 'content-type': 'image/png' };
  const taken = await fetch(`${service.url}/images`, { method: 'POST', headers, body: await picture('#ff00fe') });
  expect([taken.status, await taken.json()]).toMatchObject([503, refused]);
  expect(await readiness()).toEqual({ status: 'not ready', failed: ['pictures'] });
  const lines = service.logLines().filter((line) => line.includes('bucket'));
  expect(lines.join('\n')).toMatch(/"reason":"GetObject: 403 AccessDenied Access Denied"/);
  expect(lines.join('\n')).toMatch(/"reason":"HeadObject: 403 /);
  expect(service.logLines().join('\n')).not.toContain(S3_KEY.secretAccessKey);
  expect(await tenant.run(() => service.platform.database.image.count())).toBe(1);
});

it('leaves an image PENDING whose bytes cannot be reached, and encodes it once they can', async () => {
  const tenant = await service.tenant();
  const id = await tenant.upload('#00ffff');
  s3.fail('denied');
  await expect(tenant.encode()).rejects.toThrow('The stored files cannot be reached');
  expect((await imageOf(tenant, id)).status).toBe('PENDING');
  const jobs = await tenant.run(
    () => service.platform.database.$queryRaw<{ later: boolean }[]>`
      SELECT start_after > now() AS later FROM pgboss.job
      WHERE name = 'encode' AND singleton_key = ${tenant.id} ORDER BY later`,
  );
  expect(jobs).toEqual([{ later: false }, { later: true }]); // that of the upload, and its like for later
  s3.mend();
  await tenant.encode();
  expect((await imageOf(tenant, id)).status).toBe('READY');
});
