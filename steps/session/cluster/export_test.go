package cluster

// ImagesOf is what Read makes of pods.
var ImagesOf = imagesOf
