export { type CifarKind, type CifarOptions, downloadCifar, openCifar } from "./cifar.js";
export {
  type Augmentation,
  type DataOptions,
  type DataProgress,
  type ImageDataset,
  type ImageSet,
  memoryDataset,
} from "./dataset.js";
export { digitsAttribution, digitsDataset } from "./digits.js";
export { readImage } from "./image-decode.js";
export { type ImageFolderOptions, openImageFolder } from "./image-folder.js";
export { type Batch, Loader, type Split } from "./loader.js";
export { dataRoot, datasetNames, type OpenOptions, openDataset } from "./open.js";
export { absoluteSource, type DataSource, openDataSource } from "./source.js";
export { type SyntheticOptions, syntheticDataset } from "./synthetic.js";
export { type DataReport, verifyDataset } from "./verify.js";
