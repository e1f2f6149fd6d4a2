/**
 * The `palate` program: its commands, and how any of them ends when it fails. Commands are loaded when they run, so
 * that `--help` answers at once.
 */
import { Command, CommanderError } from 'commander';
import { PalateError } from '../errors.ts';
import { DESCRIPTION, VERSION } from '../version.ts';
import { evaluateCommand } from './evaluate.ts';
import { EXIT, EXIT_CODE_HELP } from './exitCodes.ts';
import { keysCommand } from './keys.ts';
import { rankCommand } from './rank.ts';
import { serveCommand, startCommand, workCommand } from './start.ts';
import { tracesCommand } from './traces.ts';
import { trainBaseCommand } from './trainBase.ts';

export function palateProgram(): Command {
  return new Command('palate')
    .description(DESCRIPTION)
    .version(VERSION)
    .addCommand(startCommand())
    .addCommand(serveCommand())
    .addCommand(workCommand())
    .addCommand(rankCommand())
    .addCommand(keysCommand())
    .addCommand(tracesCommand())
    .addCommand(trainBaseCommand())
    .addCommand(evaluateCommand())
    .showHelpAfterError('Run palate --help for the commands, palate COMMAND --help for one of them.')
    .addHelpText(
      'after',
      `
Examples:
  palate start                                     serve the API with the demo in it
  palate start --no-demo --ready-file ready.json   serve an empty tenant, for scripts
  palate serve / palate work                       the API and the work behind it, apart
  palate rank --liked yes/ --disliked no/ new/     rank picture files, without any server
  palate keys create --operator --name ops         make the key that makes tenants
  palate traces --tenant ID ada@example.org        find what is still kept of somebody erased

Settings are environment variables: palate start --help names them.
${EXIT_CODE_HELP}
PALATE_DEBUG=1 prints the whole stack of an error.`,
    );
}

/** Runs the program on arguments (without `node` and the script) and answers its exit status. */
export async function runProgram(args: readonly string[]): Promise<number> {
  const program = palateProgram();
  const commands = [program, ...program.commands];
  for (const command of [...commands, ...commands.flatMap((each) => each.commands)]) command.exitOverride();
  try {
    process.exitCode = EXIT.done;
    await program.parseAsync([...args], { from: 'user' });
    return Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    process.stderr.write(`${describeError(error)}\n`);
    return error instanceof PalateError && error.code === 'BAD_USER_INPUT' ? EXIT.usage : EXIT.failed;
  }
}

/** One line that says what went wrong; the whole stack, causes included, where PALATE_DEBUG is set. */
function describeError(error: unknown): string {
  if (process.env['PALATE_DEBUG']) return error instanceof Error ? withCauses(error) : String(error);
  return `palate: ${error instanceof Error ? error.message : String(error)}`;
}

function withCauses(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\nCaused by: ${withCauses(error.cause)}` : stack;
}
