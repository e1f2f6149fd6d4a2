/** The program as a shell sees it: help, usage errors, exit statuses. */
import { palateProgram } from '../../src/commands/program.ts';
import { SETTINGS } from '../../src/config.ts';
import { palate } from './palate.ts';

describe('palate', () => {
  it('names every command in its help, with examples, and ends with 0', async () => {
    const { status, stdout } = await palate(['--help']);
    expect(status).toBe(0);
    for (const command of palateProgram().commands) expect(stdout).toContain(command.name());
    expect(stdout).toContain('Examples:');
    expect(stdout).toContain('Exit status: 0 done');
  });

  it('tells its version', async () => {
    expect((await palate(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('ends with 2 for a command there is not, and says where the help is', async () => {
    const { status, stderr } = await palate(['rnak']);
    expect(status).toBe(2);
    expect(stderr).toContain("unknown command 'rnak'");
    expect(stderr).toContain('palate --help');
  });

  it('ends with 2 for a setting out of its range, in one line that names it', async () => {
    const { status, stderr } = await palate(['start'], { environment: { PORT: 'http' } });
    expect(status).toBe(2);
    expect(stderr).toBe('palate: PORT: "http" is not a whole number from 0 to 65535.\n');
  });

  it('prints a stack only where PALATE_DEBUG asks for it', async () => {
    const { stderr } = await palate(['start'], { environment: { PORT: 'http', PALATE_DEBUG: '1' } });
    expect(stderr).toContain('PalateError: PORT: "http"');
    expect(stderr).toMatch(/\n {4}at /);
  });
});

describe('every command', () => {
  it.each(palateProgram().commands.map((command) => [command.name(), command] as const))(
    '%s says what each argument and option is for, and gives an example',
    (_name, command) => {
      let help = '';
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect(command.description()).toMatch(/\.$/);
      for (const { flags, description } of command.options)
        expect([flags, description]).toEqual([flags, expect.stringMatching(/\w/)]);
      for (const argument of command.registeredArguments) expect(argument.description).not.toBe('');
      expect(help).toMatch(/Examples?:\n {2}.*palate /);
      expect(help).toContain('Exit status:');
    },
  );

  it('start names every setting', () => {
    let help = '';
    const start = palateProgram().commands.find((command) => command.name() === 'start');
    start!.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    for (const { variable } of Object.values(SETTINGS)) expect(help).toContain(`${variable} (`);
  });
});
