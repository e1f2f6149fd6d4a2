-- How a version did on people that no training learns from.

-- AlterTable
ALTER TABLE "models" ADD COLUMN     "evaluation" JSONB;
