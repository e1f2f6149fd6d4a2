/** The honest client as a process of its own: asks from the first message, a tenant, to the second, and sends its times. */
import type { FilledTenant } from '../tenants.ts';
import { askHonestly } from './honestClient.ts';

const stop = new AbortController();
process.once('message', (tenant: FilledTenant) => {
  process.once('message', () => stop.abort());
  void askHonestly(tenant, stop.signal).then((times) => process.send!(times, () => process.disconnect()));
});
