/** Every training ends, whatever is killed; the long form is `npm run bench:training-kills`. */
import { runTrainingKills } from '../../bench/support/trainings/kills.ts';

it('ends every training, with nothing left behind and one active version a tenant, through five kills', async () => {
  const { kills, jobs, faults, processes } = await runTrainingKills({ kills: 5, seed: 'e2e' });
  expect(faults).toEqual([]);
  expect(Object.values(kills).reduce((sum, count) => sum + count)).toBe(5);
  expect(Object.keys(jobs)).not.toContain('RUNNING');
  expect(processes).toBeGreaterThan(0);
}, 600_000);
