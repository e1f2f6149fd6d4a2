/**
 * Does every training end, whatever is killed? Three tenants train on two workers without a pause, on a database of their
 * own, and what one has learned is promoted as soon as it can be; at random moments a worker, a process that trains or one
 * of the database's is killed (SIGKILL), which restarts the database. Then every job must have ended, no process be left
 * and no file of theirs, each tenant have one active version, and no version be without its evaluation. Weights that no
 * version names, left between the file and its row, must go with the maintenance's sweep, for which all files are made two
 * days old.
 *
 *     npm run bench:training-kills -- --kills 100 --seed 1
 *
 * A kill takes some 5 seconds. Exits with 1 and what is wrong. The trainings are as small as they can be.
 */
import { parseArgs } from 'node:util';
import { runTrainingKills } from './support/trainings/kills.ts';

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } },
});
const kills = Number(values.kills);
if (!Number.isInteger(kills) || kills < 1 || kills > 1000) {
  process.stderr.write(`--kills is "${values.kills}": give a whole number from 1 to 1000.\n`);
  process.exit(2);
}

const report = await runTrainingKills({
  kills,
  seed: values.seed,
  told: (victim, number) => console.log(`kill ${number} of ${kills}: a ${victim}`),
});
console.table({
  ...Object.fromEntries(Object.entries(report.kills).map(([victim, count]) => [`killed: ${victim}`, count])),
  ...Object.fromEntries(Object.entries(report.jobs).map(([status, count]) => [`trainings ${status}`, count])),
  'processes that trained': report.processes,
  'trainings taken up again': report.takenUpAgain,
  'versions made': report.versions,
  'of them promoted': report.promoted,
  'weights files, one a version': report.weights,
  'weights files of no version, swept': report.sweptWeights,
  faults: report.faults.length,
});
if (report.faults.length > 0) {
  process.stderr.write(`${report.faults.join('\n')}\n`);
  process.exitCode = 1;
}
