/** `palate traces`: finds what is kept of somebody, beside a running service, and proves that nothing is. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromGlobalId, toGlobalId } from '../../src/domain/ids.ts';
import { eraseFiles } from '../../src/domain/storedFiles.ts';
import { DiskStore } from '../../src/files/diskStore.ts';
import { type TestService, type TestTenant, testService } from '../http/service.ts';
import { s3Server } from '../support/s3Server.ts';
import { palate } from './palate.ts';

let service: TestService;
let tenant: TestTenant;
let dataDirectory: string;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
  dataDirectory = await mkdtemp(join(tmpdir(), 'palate-traces-'));
});
afterAll(async () => {
  await service.close();
  await rm(dataDirectory, { recursive: true, force: true });
});

const tracesWith = (environment: Readonly<Record<string, string>>, ...args: string[]) =>
  palate(['traces', ...args], { environment: { DATABASE_URL: service.test.ownerUrl, ...environment } });
const traces = (...args: string[]) => tracesWith({ PALATE_DATA_DIR: dataDirectory }, ...args);

it('finds a person before the erasure, and after it nothing but where their random id is kept', async () => {
  const [user] = (await tenant.people('ada@example.org')) as [string];
  const image = await tenant.upload('#ff0000', { owner: 'ada@example.org', prompt: 'the cat of ada@example.org' });
  await tenant.judge(user, 'LIKE', image);
  const id = fromGlobalId(user)!.id;

  const before = await traces('--tenant', tenant.id, 'ada@example.org', user);
  expect(before).toMatchObject({ status: 3, stderr: '' });
  expect(before.stdout.split('\n').sort()).toEqual(
    [
      '',
      'ada@example.org  public.images.prompt  1',
      'ada@example.org  public.users.external_id  1',
      `${user}  public.feedback.user_id  1`,
      `${user}  public.images.owner_id  1`,
      `${user}  public.users.id  1`,
    ].sort(),
  );

  await tenant.ask('mutation ($id: ID!) { deleteUser(input: { id: $id }) { deletedId } }', { id: user });
  await tenant.run(() => eraseFiles(service.platform));
  const after = await traces('--tenant', toGlobalId('Tenant', tenant.id), 'ada@example.org', id);
  expect(after).toEqual({
    status: 0,
    stderr: '',
    stdout: `${[
      `${id}  public.audit_events.subject  1  kept: a random id`,
      `${id}  public.erasures.user_id  1  kept: a random id`,
      'Nothing else is found.',
    ].join('\n')}\n`,
  });
  const json = await traces('--tenant', tenant.id, '--json', id);
  expect(JSON.parse(json.stdout)).toEqual({
    traces: [
      { value: id, place: 'public.audit_events.subject', count: 1, kept: true },
      { value: id, place: 'public.erasures.user_id', count: 1, kept: true },
    ],
  });
  expect(await traces('--tenant', tenant.id, 'ada@example.org')).toMatchObject({
    ...{ status: 0, stdout: 'Nothing is found.\n' },
  });
});

it("sees another tenant's rows as little as the tenant does", async () => {
  const other = await service.tenant();
  await other.people('bea@example.org');
  expect((await traces('--tenant', other.id, 'bea@example.org')).status).toBe(3);
  expect((await traces('--tenant', tenant.id, 'bea@example.org')).status).toBe(0);
});

it('looks among the names of the models too, on the disk or in the bucket', async () => {
  const weights = await DiskStore.open(join(dataDirectory, 'models'));
  const sha256 = 'd'.repeat(64);
  await weights.put(tenant.id, sha256, Buffer.from('a model'));
  const found = await traces('--tenant', tenant.id, sha256);
  expect(found).toMatchObject({ status: 3, stdout: `${sha256}  models  1\n` });

  const s3 = await s3Server();
  const key = `${tenant.id}/dd/${sha256}`;
  s3.write(`pictures/${key}`);
  expect(await tracesWith(s3.environment, '--tenant', tenant.id, sha256)).toMatchObject({
    ...{ status: 3, stdout: `${sha256}  pictures  1\n` },
  });
  expect(s3.keys()).toEqual([`pictures/${key}`]);
  await s3.close();
});

it('says what is wrong with its arguments', async () => {
  expect(await traces('--tenant', 'acme', 'x')).toMatchObject({
    ...{ status: 2, stderr: 'palate: --tenant acme is no id of a tenant.\n' },
  });
  expect(await traces('--tenant', tenant.id, '')).toMatchObject({
    ...{ status: 2, stderr: 'palate: A value is empty: it would be found everywhere.\n' },
  });
});
