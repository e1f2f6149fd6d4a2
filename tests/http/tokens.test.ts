/** People's own tokens over HTTP: whom they let in, what a person sees, and in which words the rest is turned away. */
import { type TestService, type TestTenant, testService } from './service.ts';

let service: TestService;
let tenant: TestTenant;

beforeAll(async () => {
  service = await testService();
  tenant = await service.tenant();
});
afterAll(() => service.close());

describe('a person', () => {
  it('is let in by a token, and is told who they are', async () => {
    const { data } = await tenant.ask(
      '{ viewer { role user { externalId } tenant { name } } }',
      {},
      await tenant.personKey('ada'),
    );
    expect(data.viewer).toEqual({ role: 'USER', user: { externalId: 'ada' }, tenant: { name: 'a tenant' } });
  });
});
