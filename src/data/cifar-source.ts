/** One file of the binary form: records of label bytes and then 3,072 pixels `[3][32][32]`. */
export interface CifarFile {
  readonly name: string;
  readonly images: number;
  readonly sha256: string;
}

export interface CifarSource {
  readonly kind: "cifar10" | "cifar100";
  readonly url: string;
  readonly archive: string;
  readonly archiveBytes: number;
  readonly archiveSha256: string;
  /** Folder inside the archive. */
  readonly folder: string;
  readonly train: readonly CifarFile[];
  readonly test: CifarFile;
  /** Bytes before the pixels; the last of them is the class. */
  readonly labelBytes: 1 | 2;
  readonly classes: readonly string[];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly padding: "reflect" | "zero";
}

export const cifar10: CifarSource = {
  kind: "cifar10",
  url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  archive: "cifar-10-binary.tar.gz",
  archiveBytes: 170_052_171,
  archiveSha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  folder: "cifar-10-batches-bin",
  train: [
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
  ].map((sha256, i) => ({ name: `data_batch_${i + 1}.bin`, images: 10_000, sha256 })),
  test: {
    name: "test_batch.bin",
    images: 10_000,
    sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
  },
  labelBytes: 1,
  classes: ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
  padding: "reflect",
};

export const cifar100: CifarSource = {
  kind: "cifar100",
  url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
  archive: "cifar-100-binary.tar.gz",
  archiveBytes: 168_513_733,
  archiveSha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
  folder: "cifar-100-binary",
  train: [
    {
      name: "train.bin",
      images: 50_000,
      sha256: "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    },
  ],
  test: {
    name: "test.bin",
    images: 10_000,
    sha256: "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
  },
  labelBytes: 2, // coarse class, fine class
  classes: (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle " +
    "caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant " +
    "flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man " +
    "maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree " +
    "plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper " +
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train " +
    "trout tulip turtle wardrobe whale willow_tree wolf woman worm"
  ).split(" "),
  mean: [0.50708, 0.48655, 0.44092],
  std: [0.26733, 0.25644, 0.27615],
  padding: "zero",
};
