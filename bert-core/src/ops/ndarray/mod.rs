//! ndarray, the CPU backend. It runs the composed operations but for those that a file here replaces, for f32. f64 stays
//! composed: it serves gradient checks.

mod activation;

use burn::tensor::Tensor;
use burn::tensor::ops::FloatTensor;
use burn_ndarray::NdArray;

use super::{Activation, BertBackend, linear, primitive, tensor};

impl BertBackend for NdArray<f64> {}

impl BertBackend for NdArray<f32> {
    fn bert_linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>) {
        if activation != Activation::Gelu {
            return linear::forward::<Self>(x, weight, bias, activation);
        }
        let (z, _) = linear::forward::<Self>(x, weight, bias, Activation::Identity);
        let y = activation::gelu::<Self>(tensor(z.clone()));
        (primitive(y), Some(z))
    }

    fn bert_linear_backward(
        grad: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        pre_activation: Option<FloatTensor<Self>>,
        activation: Activation,
    ) -> [FloatTensor<Self>; 3] {
        let (Activation::Gelu, Some(z)) = (activation, &pre_activation) else {
            return linear::backward::<Self>(grad, x, weight, pre_activation, activation);
        };
        let grad: Tensor<Self, 2> = tensor(grad);
        let dz = activation::gelu_backward::<Self>(grad, tensor(z.clone()));
        linear::backward::<Self>(primitive(dz), x, weight, None, Activation::Identity)
    }
}
