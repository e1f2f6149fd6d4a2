/**
 * Is what was acknowledged kept? Starts the service with an embedded database in a folder of its own, lets four writers
 * send feedback and comparisons, part of them with idempotency keys, and kills the service (SIGKILL) after a random
 * number of acknowledgements, every other time its database's processes as well; starts it again and looks; and so on.
 *
 *     npm run bench:kill -- --kills 50 --seed 1
 *
 * A kill takes some 10 seconds. Exits with 1 and what was lost, doubled or changed. A killed process loses nothing that
 * it had written to the kernel: what a power cut does is the disk's and PostgreSQL's fsync's, and is not shown here.
 */
import { parseArgs } from 'node:util';
import { runKills } from './support/kill/run.ts';
import { figure, median } from './support/measure.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, seed: { type: 'string', default: '1' } },
});
const kills = Number(values.kills);
if (!Number.isInteger(kills) || kills < 1 || kills > 1000) {
  process.stderr.write(`--kills is "${values.kills}": give a whole number from 1 to 1000.\n`);
  process.exit(2);
}

const report = await runKills({
  kills,
  seed: values.seed,
  told: ({ withDatabase, acknowledged, cutOff, sentAgain, restartMs }, number) =>
    console.log(
      `kill ${number} of ${kills}, ${withDatabase ? 'service and database' : 'service'}: ${acknowledged} requests acknowledged, ` +
        `${cutOff} cut off, ${sentAgain} of them sent again by key; ready again after ${figure(restartMs / 1000)} s`,
    ),
});

const total = (of: 'acknowledged' | 'cutOff' | 'sentAgain') => report.kills.reduce((sum, kill) => sum + kill[of], 0);
const restarts = (withDatabase: boolean): string => {
  const times = report.kills.filter((kill) => kill.withDatabase === withDatabase).map(({ restartMs }) => restartMs);
  return times.length === 0 ? '' : `${figure(median(times) / 1000)} (at most ${figure(Math.max(...times) / 1000)})`;
};
console.table({
  kills: report.kills.length,
  'with the database': report.kills.filter(({ withDatabase }) => withDatabase).length,
  'requests acknowledged': total('acknowledged'),
  'judgements acknowledged': report.judgements,
  'comparisons acknowledged': report.comparisons,
  'requests cut off': total('cutOff'),
  'of them sent again by key': total('sentAgain'),
  'acknowledged keys replayed': report.replays,
  'start after a kill of the service, s': restarts(false),
  'start after a kill of both, s': restarts(true),
  faults: report.faults.length,
});
if (report.faults.length > 0) {
  process.stderr.write(`${report.faults.join('\n')}\n`);
  process.exitCode = 1;
}
