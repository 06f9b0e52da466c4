{
  "targets": [
    {
      "target_name": "easting",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/easting.node"],
          "action": ["node", "scripts/build-native.cjs"]
        }
      ]
    }
  ]
}
