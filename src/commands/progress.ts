/** How far a long step has come: a bar on a terminal, a line every tenth of the way elsewhere. Writes to stderr. */
import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  /** `note` stands beside the bar until the next one. */
  advance(by?: number, note?: string): void;
  finish(): void;
}

/** Shows the progress of `total` steps under a label, such as `Encoding pictures`. */
export function showProgress(label: string, total: number, stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? bar(label, total, stream) : lines(label, total, stream);
}

function bar(label: string, total: number, stream: NodeJS.WriteStream): Progress {
  const display = new SingleBar(
    {
      format: `${label.padEnd(24)} {bar} {value}/{total}  {eta_formatted}  {note}`,
      stream,
      hideCursor: true,
      clearOnComplete: false,
    },
    Presets.shades_classic,
  );
  display.start(total, 0, { note: '' });
  return {
    advance: (by = 1, note?: string) => display.increment(by, note === undefined ? {} : { note }),
    finish: () => display.stop(),
  };
}

function lines(label: string, total: number, stream: NodeJS.WriteStream): Progress {
  let done = 0;
  let tenths = 0;
  return {
    advance(by = 1, note = '') {
      done += by;
      const reached = Math.floor((10 * done) / total);
      if (reached > tenths) stream.write(`${label}: ${done} of ${total}${note && `, ${note}`}\n`);
      tenths = reached;
    },
    finish() {},
  };
}
