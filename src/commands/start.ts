/**
 * `palate start`: the database, the API and the workers in one process, with a demo to try them on. `palate serve` and
 * `palate work`: the API and the workers apart, any number of each.
 */
import { Command } from 'commander';
import { describeSettings, readConfig } from '../config.ts';
import { EXIT_CODE_HELP } from './exitCodes.ts';

interface StartOptions {
  demo: boolean;
  readyFile?: string;
}

export function startCommand(): Command {
  return new Command('start')
    .description('Serve the API, with an embedded database and a demo, until it is told to stop.')
    .option('--no-demo', 'begin with an empty tenant instead of the demo')
    .option(
      '--ready-file <file>',
      'once requests are answered, write {url, tenantId, adminKey, serviceKey} to it as JSON',
    )
    .action(start)
    .addHelpText(
      'after',
      () => `
The first start makes a tenant and keeps its keys in the data folder (demo-keys.json, or keys.json with --no-demo;
readable by you alone). The next start goes on with it. The demo is 240 pictures and 150 people with their feedback.
The log is JSON on stderr. SIGTERM and Ctrl-C stop in order: what was asked is answered first.

Examples:
  palate start
  PORT=8080 PALATE_DATA_DIR=/var/lib/palate palate start --no-demo
  DATABASE_URL=postgresql://palate:secret@db/palate palate start --no-demo --ready-file /run/palate.json

Settings (environment variables; docs/configuration.md):
${settingsHelp()}

${EXIT_CODE_HELP}`,
    );
}

async function start({ demo, readyFile }: StartOptions): Promise<void> {
  const config = readConfig(process.env);
  const service = await import('./start/serve.ts'); // loads the whole house: not for --help
  await service.start(config, { demo, readyFile: readyFile ?? null });
}

export function serveCommand(): Command {
  return partCommand('serve', { api: true, work: false })
    .description('Serve the API alone; palate work does the work behind it.')
    .addHelpText('after', () => partHelp('palate serve'));
}

export function workCommand(): Command {
  return partCommand('work', { api: false, work: true })
    .description('Do the work behind the API alone: encoding, profiles, trainings, maintenance.')
    .addHelpText('after', () => partHelp('palate work'));
}

function partCommand(name: string, parts: { readonly api: boolean; readonly work: boolean }): Command {
  return new Command(name)
    .option('--ready-file <file>', 'written as JSON once it is ready: {url}, or {} where nothing is served')
    .action(async ({ readyFile }: { readyFile?: string }) => {
      const config = readConfig(process.env);
      const { runPart } = await import('./start/serve.ts');
      await runPart(config, parts, readyFile ?? null);
    });
}

const partHelp = (command: string) => `
Any number of palate serve and palate work make one installation: give all of them the same DATABASE_URL and the same
PALATE_SIGNING_KEY, and a data folder whose pictures/ and models/ they share. Several on one machine may share the
embedded database instead. No tenant is made: palate keys create --operator makes the key that makes tenants.
The log is JSON on stderr. SIGTERM and Ctrl-C stop in order: what is at hand is ended or left to another first.

Example:
  DATABASE_URL=postgresql://palate:secret@db/palate PALATE_SIGNING_KEY=… ${command}

Settings (environment variables; docs/configuration.md):
${settingsHelp()}

${EXIT_CODE_HELP}`;

function settingsHelp(): string {
  return describeSettings()
    .map(
      ({ variable, default: value, unit, doc }) =>
        `  ${variable} (${value}${unit === '' ? '' : ` ${unit}`})\n      ${doc}`,
    )
    .join('\n');
}
