/** Measures a model on simulated people with a progress bar, and writes the report's files. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelArtifact } from '../../model/artifact.ts';
import {
  type BaseReport,
  type BaseReportInput,
  REPORT_SIZE,
  reportBaseModel,
} from '../../training/evaluation/baseReport.ts';
import type { ReportFile } from '../../training/evaluation/reportFiles.ts';
import { type Progress, showProgress } from '../progress.ts';

/** @param people of each kind */
export async function measureModel(
  input: BaseReportInput,
  artifact: ModelArtifact,
  people: number,
): Promise<BaseReport> {
  let progress: Progress | null = null;
  const report = await reportBaseModel(input, artifact, { ...REPORT_SIZE, people }, (_, total, what) => {
    progress ??= showProgress('Measuring', total);
    progress.advance(1, what);
  });
  (progress as Progress | null)?.finish();
  return report;
}

/** Writes files into a folder that is there, and answers their names. */
export async function writeFiles(directory: string, files: readonly ReportFile[]): Promise<string[]> {
  for (const { name, content } of files) await writeFile(join(directory, name), content);
  return files.map(({ name }) => name);
}
