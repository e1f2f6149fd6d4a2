/** Hostile requests of every kind, from a seed; the long form, with memory and other clients' times, is `npm run bench:fuzz`. */
import { FUZZ_KINDS } from '../../bench/support/fuzz/requests.ts';
import { faultOf, runFuzz } from '../../bench/support/fuzz/run.ts';
import { buildSchema } from '../../src/graphql/schema.ts';
import { picture, type TestService, testService } from './service.ts';

let service: TestService;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service.close());

it('gets no fault of the service out of 600 hostile requests, and answers afterwards as before', async () => {
  const tenant = await service.tenant();
  const externalIds = ['ada', 'ben', 'cleo'];
  const people = await tenant.people(...externalIds);
  const images = [await tenant.upload('red'), await tenant.upload('green'), await tenant.upload('blue')];
  await tenant.encode();
  await tenant.judge(people[0]!, 'LIKE', images[0]!);

  const { faults, outcomes } = await runFuzz({
    ...{ url: service.url, seed: 'suite', requests: 600, connections: 4, pauseMs: 0 },
    target: {
      ...{ schema: buildSchema(), adminKey: tenant.adminKey, serviceKey: tenant.serviceKey },
      ...{ ids: [...people, ...images], externalIds, picture: await picture('red') },
    },
  });
  expect(faults).toEqual([]);
  expect([...outcomes.keys()].sort()).toEqual(FUZZ_KINDS.toSorted());

  const other = await service.tenant();
  expect((await other.ask('{ viewer { role } }')).data).toEqual({ viewer: { role: 'SERVICE' } });
});

it.each([
  [500, '{"error":{"code":"INTERNAL_SERVER_ERROR"}}', true],
  [502, '', true],
  [503, 'plain words', true],
  [503, '{"error":{"code":"OVERLOADED"}}', false],
  [503, '{"errors":[{"extensions":{"code":"NOT_READY"}}]}', false],
  [200, '{"data":{"users":null},"errors":[{"extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}', true],
  [200, '{"data":{}}', false],
  [400, '{"errors":[{"extensions":{"code":"BAD_USER_INPUT"}}]}', false],
  ['late', '', true],
  ['closed', '', false],
] as const)('of an answer %s %s, a fault: %s', (outcome, body, isFault) => {
  expect(faultOf({ outcome, body, requestId: null }) !== null).toBe(isFault);
});
