/** `palate start`: the database, the API and the workers in one process, with a demo to try them on. */
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
readable by you alone). The next start goes on with it. The demo is 240 pictures and 30 people with their feedback.
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
  const { serve } = await import('./start/serve.ts'); // loads the whole house: not for --help
  await serve(config, { demo, readyFile: readyFile ?? null });
}

function settingsHelp(): string {
  return describeSettings()
    .map(
      ({ variable, default: value, unit, doc }) =>
        `  ${variable} (${value}${unit === '' ? '' : ` ${unit}`})\n      ${doc}`,
    )
    .join('\n');
}
